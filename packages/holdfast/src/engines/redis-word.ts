/** What a supervised Redis server says of itself, in the words of `core/supervision`. Shared by its managers. */
import type { EngineWord } from '../core/supervision/model.ts'
import { fieldsOf, ReplyError } from '../io/resp.ts'
import { errorOf, type Far, readFrom, settingOf, textOf, wholeOf } from './redis-door.ts'

export interface RedisWord {
  readonly word: EngineWord
  readonly version: string
  readonly connectedReplicas: number
  /** Null: it does not tell. */
  readonly minReplicas: number | null
}

/** Asks one server. Ends within `timeoutMs`; whatever it answers is a word. */
export async function askRedis(member: string, far: Far, timeoutMs: number): Promise<RedisWord> {
  const questions = [
    ['INFO', 'replication'],
    ['INFO', 'server'],
    ['CONFIG', 'GET', 'min-replicas-to-write'],
  ]
  const talk = await readFrom(far, questions, timeoutMs)
  if (!talk.ok) return silent(member, talk.because)
  const [replication, server, setting] = talk.replies
  const info = textOf(replication)
  if (info === null) return silent(member, errorOf(replication) ?? 'its answer to INFO is no text')
  const fields = fieldsOf(info)
  const role = roleOf(fields.get('role'))
  if (role === null) return silent(member, 'its answer to INFO names no role')
  const offset = role === 'primary' ? fields.get('master_repl_offset') : fields.get('slave_repl_offset')
  return {
    word: {
      member,
      answering: true,
      because: '',
      role,
      position: wholeOf(offset ?? fields.get('master_repl_offset')),
      timeline: null,
      streaming: fields.get('master_link_status') === 'up',
    },
    version:
      fieldsOf(textOf(server) ?? '')
        .get('redis_version')
        ?.slice(0, 40) ?? '',
    connectedReplicas: wholeOf(fields.get('connected_slaves')) ?? 0,
    minReplicas: setting instanceof ReplyError ? null : wholeOf(settingOf(setting)),
  }
}

function roleOf(text: string | undefined): 'primary' | 'replica' | null {
  if (text === 'master') return 'primary'
  return text === 'slave' ? 'replica' : null
}

function silent(member: string, because: string): RedisWord {
  const word = { member, answering: false, because, role: null, position: null, timeline: null, streaming: false }
  return { word, version: '', connectedReplicas: 0, minReplicas: null }
}
