/** One named fact of a screen's head, to stand in a `dl` of the class `facts`. */
interface FactProps {
  readonly name: string
  readonly value: string
  readonly more: string
  readonly wide?: boolean
}

export function Fact({ name, value, more, wide = false }: FactProps) {
  return (
    <div className={wide ? 'fact wide-fact' : 'fact'}>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong>
        {more !== '' && <span className="dim">{more}</span>}
      </dd>
    </div>
  )
}
