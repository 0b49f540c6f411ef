/** Follows what was asked of the agents until it is done or refused, or says that it waits for an approver. */
import type { ApiAsked, ApiIntent } from '@holdfast/client'
import { useEffect, useState } from 'react'
import { Link } from '../place.tsx'
import { server, type Trouble, troubleOf } from '../server.ts'
import { TroubleBox } from './pieces.tsx'

const LOOK_MS = 400
/** A request that takes longer is shown by the group itself; asking on would help nobody. */
const LOOKS_MAX = 300

export function IntentProgress({ group, asked }: { readonly group: string; readonly asked: ApiAsked }) {
  const { intent: id, approval } = asked
  const [intent, setIntent] = useState<ApiIntent | null>(null)
  const [trouble, setTrouble] = useState<Trouble | null>(null)
  const over = intent?.state === 'done' || intent?.state === 'refused'
  useEffect(() => {
    if (id === null || over) return
    let looks = 0
    let ended = false
    const timer = setInterval(() => {
      looks += 1
      if (looks >= LOOKS_MAX) clearInterval(timer)
      void server.ask('intent', { params: { group, id } }).then((answer) => {
        if (ended) return
        setTrouble(answer.ok ? null : troubleOf(answer))
        if (answer.ok) setIntent(answer.value)
      })
    }, LOOK_MS)
    return () => {
      ended = true
      clearInterval(timer)
    }
  }, [id, group, over])
  if (approval !== null && approval.state === 'waiting') {
    return (
      <p className="progress" role="status">
        It waits for an approver. <Link to="/approvals">See what waits</Link>
      </p>
    )
  }
  if (id === null) return null
  const state = intent?.state ?? 'waiting'
  return (
    <div className={`progress ${state}`} role="status" data-intent={state}>
      <ol className="steps">
        {(['asked', 'running', 'done'] as const).map((step, index) => (
          <li key={step} className={index <= STEP_OF[state] ? 'reached' : ''}>
            {step === 'done' && state === 'refused' ? 'refused' : step}
          </li>
        ))}
      </ol>
      <span>{intent === null ? 'Asked; waiting for the first word.' : wordsOf(intent)}</span>
      {trouble !== null && <TroubleBox trouble={trouble} />}
    </div>
  )
}

function wordsOf({ because, state, holder, epoch }: ApiIntent): string {
  return `${because === '' ? state : because}. Holder ${holder ?? 'nobody'}, epoch ${epoch}.`
}

const STEP_OF = { waiting: 0, running: 1, done: 2, refused: 2 } as const
