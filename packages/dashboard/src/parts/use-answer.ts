/** What a route answers, asked when a screen opens and again when `turn` changes. The old answer stays meanwhile. */
import type { AskInput, AskRoute, Result, ServerRoutes } from '@holdfast/client'
import { useCallback, useEffect, useState } from 'react'
import { server, type Trouble, troubleOf } from '../server.ts'

export interface Answer<T> {
  readonly value: T | null
  readonly trouble: Trouble | null
  again(): void
}

export function useAnswer<K extends AskRoute>(
  route: K,
  input: AskInput<K>,
  turn: string | number = '',
): Answer<ServerRoutes[K]['answer']> {
  type Value = ServerRoutes[K]['answer']
  const [state, setState] = useState<{ value: Value | null; trouble: Trouble | null }>({ value: null, trouble: null })
  const [count, setCount] = useState(0)
  const asked = JSON.stringify(input)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn or another count is the reason to ask again
  useEffect(() => {
    let over = false
    void server.ask(route, JSON.parse(asked) as AskInput<K>).then((result: Result<Value>) => {
      if (over) return
      if (result.ok) setState({ value: result.value, trouble: null })
      else setState((before) => ({ value: before.value, trouble: troubleOf(result) }))
    })
    return () => {
      over = true
    }
  }, [route, asked, turn, count])
  const again = useCallback(() => setCount((before) => before + 1), [])
  return { ...state, again }
}
