/** One request a person started: whether it runs, what came of it. A second press while it runs does nothing. */
import type { Result } from '@holdfast/client'
import { useRef, useState } from 'react'
import { type Trouble, troubleOf } from '../server.ts'

export interface Asking {
  readonly busy: boolean
  readonly trouble: Trouble | null
  /** The value, or null when there was trouble or another one runs. */
  run<T>(ask: () => Promise<Result<T>>): Promise<T | null>
  clear(): void
}

export function useAsking(): Asking {
  const [busy, setBusy] = useState(false)
  const [trouble, setTrouble] = useState<Trouble | null>(null)
  const running = useRef(false)
  return {
    busy,
    trouble,
    clear: () => setTrouble(null),
    run: async (ask) => {
      if (running.current) return null
      running.current = true
      setBusy(true)
      setTrouble(null)
      try {
        const result = await ask()
        if (result.ok) return result.value
        setTrouble(troubleOf(result))
        return null
      } finally {
        running.current = false
        setBusy(false)
      }
    },
  }
}
