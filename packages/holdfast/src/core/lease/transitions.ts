/**
 * Which roles an event may lead to, from which. Total by type: a new role or event does not compile until its cells are
 * filled. Checked after every step, in production too: a transition that nobody thought of ends the process, which is
 * safe, because the guard fences and the lease lapses.
 */
import type { Role } from '../model.ts'
import type { MemberEvent } from '../protocol.ts'

type Kind = MemberEvent['kind']

/** Where taking in an event may lead by itself. A cell left out of `row` means: the role stays. */
export const BY_EVENT: Readonly<Record<Role, Readonly<Record<Kind, readonly Role[]>>>> = {
  idle: row({}),
  replica: row({}),
  claiming: row({ 'record-written': ['promoting', 'releasing', 'replica'] }),
  promoting: row({ 'engine-exited': ['fencing'], 'engine-done': ['fencing'], 'guard-fired': ['fencing'] }),
  primary: row({ 'engine-exited': ['fencing'], 'guard-fired': ['fencing'] }),
  demoting: row({ 'engine-done': ['fencing'], 'guard-fired': ['fencing'] }),
  fencing: row({ 'engine-done': ['promoting', 'releasing', 'replica'] }),
  releasing: row({}),
}

/** Where looking at the facts may lead, whatever the event was. */
export const BY_DECIDING: Readonly<Record<Role, readonly Role[]>> = {
  idle: ['replica', 'fencing'],
  replica: ['claiming', 'releasing', 'fencing'],
  claiming: ['replica'],
  promoting: ['primary', 'fencing'],
  primary: ['demoting', 'fencing'],
  demoting: ['replica', 'fencing'],
  fencing: [],
  releasing: ['replica'],
}

function row(more: Partial<Record<Kind, readonly Role[]>>): Readonly<Record<Kind, readonly Role[]>> {
  const none: readonly Role[] = []
  return {
    tick: more.tick ?? none,
    record: more.record ?? none,
    session: more.session ?? none,
    'read-failed': more['read-failed'] ?? none,
    'record-written': more['record-written'] ?? none,
    'engine-view': more['engine-view'] ?? none,
    'engine-exited': more['engine-exited'] ?? none,
    'engine-done': more['engine-done'] ?? none,
    peer: more.peer ?? none,
    'freeze-answer': more['freeze-answer'] ?? none,
    'failsafe-answer': more['failsafe-answer'] ?? none,
    'freeze-asked': more['freeze-asked'] ?? none,
    'failsafe-asked': more['failsafe-asked'] ?? none,
    'restart-asked': more['restart-asked'] ?? none,
    'guard-armed': more['guard-armed'] ?? none,
    'guard-gone': more['guard-gone'] ?? none,
    'guard-fired': more['guard-fired'] ?? none,
  }
}

export function mayByEvent(from: Role, event: Kind, to: Role): boolean {
  // A command that was given up counts as its own end, whatever event brought the time to notice.
  return from === to || BY_EVENT[from][event].includes(to) || BY_EVENT[from]['engine-done'].includes(to)
}

export function mayByDeciding(from: Role, to: Role): boolean {
  return from === to || BY_DECIDING[from].includes(to)
}
