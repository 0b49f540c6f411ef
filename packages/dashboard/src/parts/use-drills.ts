/** Drills as the server tells them: asked when something about them happens, and every second while one runs. */
import type { ApiDrills } from '@holdfast/client'
import { useEffect, useState } from 'react'
import { useLive } from '../live/use-live.tsx'
import type { Trouble } from '../server.ts'
import { useAnswer } from './use-answer.ts'

const EVERY_MS = 1_000

export interface DrillsNow {
  readonly value: ApiDrills | null
  readonly trouble: Trouble | null
  again(): void
}

export function useDrills(): DrillsNow {
  const turn = useLive((state) => state.drillsTurn)
  const [tick, setTick] = useState(0)
  const { value, trouble, again } = useAnswer('drills', {}, `${turn} ${tick}`)
  const busy =
    value !== null &&
    (value.active.length > 0 || value.orders.some(({ state }) => state === 'ready' || state === 'running'))
  useEffect(() => {
    if (!busy) return
    const timer = setInterval(() => setTick((before) => before + 1), EVERY_MS)
    return () => clearInterval(timer)
  }, [busy])
  return { value, trouble, again }
}
