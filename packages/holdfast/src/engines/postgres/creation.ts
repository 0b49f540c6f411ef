/** Makes a new data set: initdb, first start as primary, roles, heartbeat row. Interrupted, it is made again. */
import { execFile } from 'node:child_process'
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { chmod, chown, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Epoch, SyncSet } from '../../core/model.ts'
import { freshId } from '../../io/random.ts'
import type { Done } from '../contract.ts'
import type { Binaries } from './binaries.ts'
import { applicationConnections, REPLICATION_USER, SUPERUSER, syncNamesOf } from './config.ts'
import { askOnce, localTarget } from './connection.ts'
import { readControlFile } from './control-file.ts'
import { type Course, type Engine, failed, refused } from './engine.ts'
import { markUnfinished, text, unmark, wipe, writeMemberFile, writeOwned } from './home.ts'
import { openForWrites, restart } from './promotion.ts'
import { startServer } from './start.ts'

export async function create(engine: Engine, epoch: Epoch, sync: SyncSet, course: Course): Promise<Done> {
  const ready = await engine.ready()
  if (!ready.ok) return ready
  const look = await engine.refresh()
  if (look.state === 'foreign') return refused(look.because)
  // Asked twice: what exists is complete and goes on as it is.
  if (look.state === 'ready') return restart(engine, epoch, sync, course)
  const result = await make(engine, ready.binaries, sync, course)
  if (!result.ok) await engine.postmaster.kill()
  await engine.refresh()
  return result
}

async function make(engine: Engine, binaries: Binaries, sync: SyncSet, course: Course): Promise<Done> {
  const { home, o, postmaster } = engine
  try {
    await postmaster.kill(course.leftMs())
    await markUnfinished(home, o)
    const kept = await wipe(home, o)
    if (kept !== null) return refused(kept)
    await mkdir(home.dataDir, { recursive: true, mode: 0o700 })
    await chmod(home.dataDir, 0o700)
    if (home.owner !== null) await chown(home.dataDir, home.owner.uid, home.owner.gid)
    course.options.progress?.('initdb', 0, null)
    const made = await initdb(engine, binaries, course)
    if (made !== null) return failed(made)
    course.options.progress?.('first start', 0, null)
    const started = await startServer(engine, 'primary', { upstream: null, syncNames: syncNamesOf(sync) }, course)
    if (!started.ok) return started
    const roles = await makeRoles(engine, course)
    if (roles !== null) return failed(roles)
    const control = await readControlFile(home.dataDir)
    if (control === null) return failed('the new data has no readable control file')
    const who = { v: 1, group: o.group, member: o.member, systemId: control.systemId } as const
    await writeMemberFile(home, { ...who, diskId: freshId(), madeBy: 'create', unopenedEpoch: null })
    await unmark(home)
    return await openForWrites(engine, course)
  } catch (error) {
    return failed(`create: ${text(error)}`)
  }
}

/** Null when it worked. The password travels in a file that only the server's account can read. */
async function initdb(engine: Engine, binaries: Binaries, course: Course): Promise<string | null> {
  const { home, o } = engine
  const passwordFile = join(home.runDir, `initdb-${freshId()}`)
  await writeOwned(home, passwordFile, `${o.secrets.superuser}\n`)
  const args = ['-D', home.dataDir, '-U', SUPERUSER, '--pwfile', passwordFile, '-A', 'scram-sha-256']
  args.push('-E', 'UTF8', '--locale=C', '--data-checksums')
  try {
    return await new Promise((resolve) => {
      const options = { env: { ...binaries.env }, cwd: home.runDir, signal: course.signal, ...(home.owner ?? {}) }
      const timeout = Math.ceil(course.leftMs())
      execFile(join(binaries.binDir, 'initdb'), args, { ...options, timeout }, (error, stdout, stderr) => {
        if (error === null) return resolve(null)
        if (course.over) return resolve('initdb: cancelled or out of time')
        const said = `${stdout}\n${stderr}`.split('\n').filter((l) => /error|FATAL|could not|No space/i.test(l))
        const full = said.some((l) => /No space left on device/.test(l)) ? '; the disk is full: free space' : ''
        resolve(`initdb: ${said.slice(-2).join('; ') || error.message}${full}`)
      })
    })
  } finally {
    await rm(passwordFile, { force: true })
  }
}

/** Roles and the heartbeat row. Runs again after an interruption, so every step looks first. */
async function makeRoles(engine: Engine, course: Course): Promise<string | null> {
  const { secrets, application } = engine.o
  const app = application ?? { user: 'app', database: 'app' }
  const local = localTarget(engine.home, engine.o)
  const sql = `set synchronous_commit = local;
    create role ${REPLICATION_USER} login replication password ${literal(scramVerifier(secrets.replication))};
    grant pg_monitor, pg_checkpoint to ${REPLICATION_USER};
    grant execute on function pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean),
      pg_read_binary_file(text), pg_read_binary_file(text, bigint, bigint, boolean) to ${REPLICATION_USER};
    create role ${name(app.user)} login connection limit ${applicationConnections(engine.o)}
      password ${literal(scramVerifier(secrets.application))};
    create schema holdfast;
    create table holdfast.heartbeat (one boolean primary key default true check (one), beat bigint not null);
    insert into holdfast.heartbeat values (true, 0)`
  const roles = await askOnce(local, sql, course.leftMs())
  if (!roles.ok) return `roles: ${roles.because}`
  const database = await engine.hand.ask('set synchronous_commit = local', course.leftMs())
  if (!database.ok) return `database: ${database.because}`
  if (app.database === 'postgres') return null
  const made = await engine.hand.ask(`create database ${name(app.database)} owner ${name(app.user)}`, course.leftMs())
  return made.ok ? null : `database: ${made.because}`
}

const SCRAM_ROUNDS = 4096

/** The stored form of a password (RFC 5803), so that the password itself is in no statement and no log. */
export function scramVerifier(password: string): string {
  const salt = Buffer.from(freshId(), 'hex')
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, SCRAM_ROUNDS, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest('base64')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
  return `SCRAM-SHA-256$${SCRAM_ROUNDS}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}

function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}

function name(value: string): string {
  return `"${value.replaceAll('"', '""')}"`
}
