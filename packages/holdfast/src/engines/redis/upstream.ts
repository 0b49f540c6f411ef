/** Questions to the member we follow, and standing before its door until it lets us in. */
import type { EngineEndpoint } from '../contract.ts'
import { KNOCK, mayReplicate, type Title } from './config.ts'
import { Line } from './connection.ts'
import type { Engine } from './engine.ts'
import { ASK_INFO, ASK_TITLE, infoAndTitle, type ServerInfo } from './info.ts'

const ASK_MS = 1_000

export type Greeting =
  | { readonly ok: true; readonly info: ServerInfo; readonly title: Title }
  | { readonly ok: false; readonly because: string }

/** Reaches the upstream, sees who it is and where in history it is. */
export async function greet(engine: Engine, at: EngineEndpoint, timeoutMs: number): Promise<Greeting> {
  const line = new Line(await engine.peer(at))
  try {
    return await greetBy(line, at, timeoutMs)
  } finally {
    line.close()
  }
}

/** The same over a connection that is kept, for who asks again and again. */
export async function greetBy(line: Line, at: EngineEndpoint, timeoutMs: number): Promise<Greeting> {
  const seen = infoAndTitle(await line.must([ASK_INFO, ASK_TITLE], timeoutMs))
  if (!seen.ok) return { ok: false, because: `${at.host}:${at.port}: ${seen.because}` }
  const { info, title } = seen
  if (title === null) return { ok: false, because: `${at.host}:${at.port} is not run by Holdfast` }
  return { ok: true, info, title }
}

/** Whether we may be its replica now. */
export function letsIn(engine: Engine, { info, title }: Greeting & { readonly ok: true }): boolean {
  return info.role === 'primary' && mayReplicate(title.sync, engine.o.member)
}

/** Makes sure that the upstream's agent can see us wait. */
export async function knockAt(engine: Engine, at: EngineEndpoint, timeoutMs: number): Promise<void> {
  if (engine.knock !== null && (engine.knock.member !== at.member || !engine.knock.line.open)) engine.endKnock()
  if (engine.knock !== null) return
  const line = new Line(await engine.peer(at))
  engine.knock = { member: at.member, line }
  const channel = `${KNOCK}${engine.o.member}`
  const answer = await line.must([['SUBSCRIBE', channel]], Math.min(ASK_MS, timeoutMs))
  if (!answer.ok) engine.endKnock()
}
