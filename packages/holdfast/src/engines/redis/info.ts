/** What a server says of its replication and its log, in our terms. Pure. */
import type { MemberName, StandbyView } from '../../core/model.ts'
import { fieldsOf, type Reply } from '../../io/resp.ts'
import type { EngineEndpoint } from '../contract.ts'
import { memberUser, parseTitle, type Title } from './config.ts'
import type { Answer } from './connection.ts'

export interface ServerInfo {
  readonly role: 'primary' | 'replica'
  readonly replid: string
  /** The history this one grew out of, and the first offset that is not shared with it; -1: none. */
  readonly replid2: string
  readonly forkOffset: number
  readonly offset: number
  /** As a replica: where to, and whether the link stands. */
  readonly upstream: { readonly host: string; readonly port: number } | null
  readonly linkUp: boolean
  /** A full copy is being received or loaded. */
  readonly copying: boolean
  readonly copyDone: number
  readonly copyTotal: number | null
  readonly replicas: readonly {
    readonly host: string
    readonly port: number
    readonly online: boolean
    readonly offset: number
  }[]
  readonly logOn: boolean
  /** The log is being written anew: until that is done the disk may hold less than memory. */
  readonly logBusy: boolean
  /** The newest write to the log worked; a server that cannot write refuses writes by itself. */
  readonly logOk: boolean
  readonly rewriteOk: boolean
  readonly logBytes: number
  readonly memoryBytes: number
}

export const ASK_INFO: readonly string[] = ['INFO', 'replication', 'persistence', 'memory']
export const ASK_TITLE: readonly string[] = ['CONFIG', 'GET', 'proc-title-template']

export function parseInfo(reply: Reply | undefined): ServerInfo | null {
  if (typeof reply !== 'string') return null
  const f = fieldsOf(reply)
  const number = (name: string): number => Number(f.get(name) ?? 0)
  const role = f.get('role')
  if (role !== 'master' && role !== 'slave') return null
  const host = f.get('master_host')
  const port = number('master_port')
  const total = number('master_sync_total_bytes')
  return {
    role: role === 'master' ? 'primary' : 'replica',
    replid: f.get('master_replid') ?? '',
    replid2: f.get('master_replid2') ?? '',
    forkOffset: number('second_repl_offset'),
    offset: number('master_repl_offset'),
    upstream: host === undefined || port === 0 ? null : { host, port },
    linkUp: f.get('master_link_status') === 'up',
    copying: number('master_sync_in_progress') === 1 || number('loading') === 1 || number('async_loading') === 1,
    copyDone: number('master_sync_read_bytes'),
    copyTotal: total > 0 ? total : null,
    replicas: replicasOf(f),
    logOn: number('aof_enabled') === 1,
    logBusy: number('aof_rewrite_in_progress') === 1 || number('aof_rewrite_scheduled') === 1,
    logOk: f.get('aof_last_write_status') !== 'err',
    rewriteOk: f.get('aof_last_bgrewrite_status') !== 'err',
    logBytes: number('aof_current_size'),
    memoryBytes: number('used_memory'),
  }
}

function replicasOf(f: ReadonlyMap<string, string>): ServerInfo['replicas'] {
  const found: ServerInfo['replicas'][number][] = []
  for (let i = 0; f.has(`slave${i}`); i++) {
    const m = /^ip=(.*),port=(\d+),state=(\w+),offset=(\d+)/.exec(f.get(`slave${i}`) ?? '')
    if (m === null) continue
    found.push({ host: m[1] ?? '', port: Number(m[2]), online: m[3] === 'online', offset: Number(m[4]) })
  }
  return found
}

/** The value of one setting out of a CONFIG GET reply. */
export function settingOf(reply: Reply | undefined, name: string): string | null {
  if (!Array.isArray(reply)) return null
  const at = reply.indexOf(name)
  const value = at < 0 ? undefined : reply[at + 1]
  return typeof value === 'string' ? value : null
}

/** Info and title out of the answers to `[ASK_INFO, ASK_TITLE]`. */
export function infoAndTitle(
  answer: Answer,
): { readonly ok: true; readonly info: ServerInfo; readonly title: Title | null } | { ok: false; because: string } {
  if (!answer.ok) return { ok: false, because: answer.because }
  const info = parseInfo(answer.replies[0])
  if (info === null) return { ok: false, because: `no answer to INFO (${shownReply(answer.replies[0])})` }
  return { ok: true, info, title: parseTitle(settingOf(answer.replies[1], 'proc-title-template') ?? '') }
}

/** Replicas that are members; two rows of one member count as the better of both. */
export function standbysOf(info: ServerInfo, members: readonly EngineEndpoint[], base: number): StandbyView[] {
  const found = new Map<MemberName, StandbyView>()
  for (const row of info.replicas) {
    // By its address as well: a server that runs on since an older version announces that.
    const isIt = (m: EngineEndpoint): boolean => m.host === row.host && m.port === row.port
    const member = members.find((m) => memberUser(m.member) === row.host || isIt(m))?.member
    if (member === undefined) continue
    const one = { member, streaming: row.online, flushLsn: base + row.offset }
    const other = found.get(member)
    if (other === undefined || (one.streaming && !other.streaming) || one.flushLsn > other.flushLsn)
      found.set(member, one)
  }
  return [...found.values()]
}

export function shownReply(reply: Reply | undefined): string {
  if (reply === undefined || reply === null) return 'nothing'
  if (typeof reply === 'object' && 'message' in reply) return reply.message
  return String(reply).slice(0, 80)
}
