/** Live charts of one group, since this page was opened: how far each copy is behind, and who was open for writes. */
import type { ApiGroup } from '@holdfast/client'
import { useMemo } from 'react'
import { bytesText } from '../words.ts'
import { Chart } from './chart.tsx'

export function GroupCharts({ group }: { readonly group: ApiGroup }) {
  const names = group.members.map(({ member }) => member).join(' ')
  const members = useMemo(() => names.split(' '), [names])
  const { writer } = group
  const lag = useMemo(
    () => members.filter((member) => member !== writer).map((member) => ({ track: `lag ${member}`, label: member })),
    [members, writer],
  )
  const open = useMemo(() => members.map((member) => ({ track: `open ${member}`, label: member })), [members])
  const loss = useMemo(() => [{ track: `loss ${group.group}`, label: 'loss' }], [group.group])
  return (
    <div className="charts">
      <Chart title="Behind, by member" lines={lag} format={bytesText} />
      <Chart title="Lost if the primary's site burned" lines={loss} format={bytesText} />
      <Chart title="Open for writes" lines={open} format={(value) => (value > 0 ? 'open' : 'closed')} steps />
    </div>
  )
}
