/** Live charts of what clients of one group see, beside what the engines' counters predict. */
import type { ApiGroup } from '@holdfast/client'
import { useMemo } from 'react'
import { bytesText, durationText } from '../words.ts'
import { Chart } from './chart.tsx'

export function CanaryCharts({ group, rpoMs }: { readonly group: ApiGroup; readonly rpoMs: number | null }) {
  const name = group.group
  const { writer } = group
  const names = group.members.map(({ member }) => member).join(' ')
  const members = useMemo(() => names.split(' '), [names])
  const copies = useMemo(() => members.filter((member) => member !== writer), [members, writer])
  const latency = useMemo(() => [{ track: `write ${name}`, label: 'a write' }], [name])
  const served = useMemo(
    () => [
      { track: `served writes ${name}`, label: 'writes' },
      { track: `served reads ${name}`, label: 'reads' },
    ],
    [name],
  )
  const stale = useMemo(() => copies.map((member) => ({ track: `stale ${member}`, label: member })), [copies])
  const lag = useMemo(() => copies.map((member) => ({ track: `lag ${member}`, label: member })), [copies])
  const limit = useMemo(() => (rpoMs === null || rpoMs === 0 ? null : { label: 'objective', value: rpoMs }), [rpoMs])
  return (
    <div className="charts">
      <Chart title="Time of a client's write, measured" lines={latency} format={durationText} unit="ms" />
      <Chart title="Clients are served, measured" lines={served} format={(value) => (value > 0 ? 'yes' : 'no')} steps />
      <Chart title="Stale, by replica, measured" lines={stale} format={durationText} unit="ms" limit={limit} />
      <Chart title="Behind, by the engine's counters (a prediction)" lines={lag} format={bytesText} />
    </div>
  )
}
