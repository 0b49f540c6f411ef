/** The live state in React: one store a page, parts of it by a selector, and a clock that ticks. */
import { createContext, type ReactNode, useContext, useEffect, useState, useSyncExternalStore } from 'react'
import type { LiveState } from './live-state.ts'
import { LiveStore } from './live-store.ts'

const LiveContext = createContext<LiveStore | null>(null)

export function LiveProvider({
  onLoggedOut,
  children,
}: {
  readonly onLoggedOut: () => void
  readonly children: ReactNode
}) {
  const [store] = useState(() => new LiveStore(onLoggedOut))
  useEffect(() => {
    store.start()
    return () => store.stop()
  }, [store])
  return <LiveContext value={store}>{children}</LiveContext>
}

export function useStore(): LiveStore {
  const store = useContext(LiveContext)
  if (store === null) throw new Error('there is no live state here')
  return store
}

/** `select` gives a part as it stands in the state, so that it is the same while nothing changed. */
export function useLive<T>(select: (state: LiveState) => T): T {
  const store = useStore()
  return useSyncExternalStore(store.subscribe, () => select(store.get()))
}

/** The server's wall clock; drawn anew every second. */
export function useWallMs(): number {
  const store = useStore()
  const [wallMs, setWallMs] = useState(() => store.nowWallMs())
  useEffect(() => {
    const timer = setInterval(() => setWallMs(store.nowWallMs()), 1_000)
    return () => clearInterval(timer)
  }, [store])
  return Math.max(wallMs, store.nowWallMs() - 1_000)
}
