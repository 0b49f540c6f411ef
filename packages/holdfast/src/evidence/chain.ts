/**
 * Reports hang together: each holds the hash of the one before. Among files that were given this finds one that was
 * changed, replaced, left out between two others, or made twice. What came after the last one cannot be known from
 * them.
 */
export interface Link {
  readonly file: string
  readonly seq: number
  readonly previousSha256: string | null
  readonly sha256: string
}

export interface Break {
  readonly file: string
  readonly because: string
}

export function breaksIn(links: readonly Link[]): readonly Break[] {
  const sorted = [...links].sort((a, b) => a.seq - b.seq || (a.sha256 < b.sha256 ? -1 : 1))
  const breaks: Break[] = []
  for (const [index, link] of sorted.entries()) {
    const { file, seq, previousSha256 } = link
    if (seq === 1 && previousSha256 !== null) breaks.push({ file, because: 'the first report names one before it' })
    if (seq > 1 && previousSha256 === null) breaks.push({ file, because: `report ${seq} names none before it` })
    const before = sorted[index - 1]
    if (before === undefined || before.sha256 === link.sha256) continue
    if (before.seq === seq) breaks.push({ file, because: `two reports say that they are number ${seq}` })
    else if (before.seq < seq - 1) {
      const missing = seq - before.seq === 2 ? `report ${seq - 1} is` : `reports ${before.seq + 1} to ${seq - 1} are`
      breaks.push({ file, because: `${missing} missing before it` })
    } else if (before.sha256 !== previousSha256) {
      breaks.push({ file, because: `report ${seq - 1} is not the one it was made after` })
    }
  }
  return breaks
}
