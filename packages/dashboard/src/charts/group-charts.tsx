/** Live charts of what the agents tell of one group, since this page was opened; what clients see has its own. */
import type { ApiGroup } from '@holdfast/client'
import { useMemo } from 'react'
import { bytesText } from '../words.ts'
import { Chart } from './chart.tsx'

export function GroupCharts({ group }: { readonly group: ApiGroup }) {
  const names = group.members.map(({ member }) => member).join(' ')
  const members = useMemo(() => names.split(' '), [names])
  const open = useMemo(() => members.map((member) => ({ track: `open ${member}`, label: member })), [members])
  const loss = useMemo(() => [{ track: `loss ${group.group}`, label: 'loss' }], [group.group])
  return (
    <div className="charts">
      <Chart title="Lost if the primary's site burned, by counters (a prediction)" lines={loss} format={bytesText} />
      <Chart title="Open for writes" lines={open} format={(value) => (value > 0 ? 'open' : 'closed')} steps />
    </div>
  )
}
