/** One group: its answers, its members with the reasons for and against each, live charts, and what can be asked. */
import type { ApiExplanation, ApiGroup, ApiMember, ApiSession } from '@holdfast/client'
import { GroupCharts } from '../charts/group-charts.tsx'
import { useLive, useWallMs } from '../live/use-live.tsx'
import { lostNow } from '../measured.ts'
import { EventList } from '../parts/event-list.tsx'
import { Fact } from '../parts/fact.tsx'
import { GroupActions } from '../parts/group-actions.tsx'
import { GroupCanary } from '../parts/group-canary.tsx'
import { MovePanel } from '../parts/move-panel.tsx'
import { Badge, Empty, Section, TableBox, TONE_OF, TroubleBox } from '../parts/pieces.tsx'
import { useAnswer } from '../parts/use-answer.ts'
import { Link } from '../place.tsx'
import { availabilityOf, proofText, standingOf } from '../standing.ts'
import { GroupMap } from '../topology/group-map.tsx'
import { bytesText, countText, detailText, durationText, shareText } from '../words.ts'
import { ManagedScreen } from './managed.tsx'

const DAY_MS = 24 * 3_600_000
const EVENTS_SHOWN = 15

export function GroupScreen({ name, session }: { readonly name: string; readonly session: ApiSession }) {
  const group = useLive((state) => state.platform?.groups.find((one) => one.group === name) ?? null)
  const events = useLive((state) => state.events)
  const led = useLive((state) => state.platform?.supervised.find((one) => one.group === name) ?? null)
  if (led !== null) return <ManagedScreen group={led} session={session} />
  if (group === null) {
    return (
      <>
        <h1>{name}</h1>
        <Empty>There is no group of this name, or you may not see it.</Empty>
      </>
    )
  }
  const { level, word } = standingOf(group)
  const own = events.filter((event) => event.group === name).slice(0, EVENTS_SHOWN)
  return (
    <>
      <div className="title">
        <h1>{group.group}</h1>
        <Badge tone={TONE_OF[level]}>{word}</Badge>
        {group.incident !== null && <Link to={`/incidents/${group.incident}`}>Open incident</Link>}
      </div>
      <Facts group={group} />
      <GroupActions group={group} session={session} />
      <Section title="Where it runs">
        <GroupMap group={group} />
      </Section>
      <Members group={group} />
      <Moves group={group} session={session} />
      <GroupCanary group={group} />
      <Section title="What the agents see">
        <GroupCharts group={group} />
      </Section>
      <Section title="What happened">
        {own.length === 0 ? <Empty>Nothing yet.</Empty> : <EventList events={own} />}
      </Section>
    </>
  )
}

function Facts({ group }: { readonly group: ApiGroup }) {
  const incidents = useLive((state) => state.incidents)
  const services = useLive((state) => state.platform?.services)
  const wallMs = useWallMs()
  const canary = useLive((state) => state.canary)
  const [lost, because] = lostNow(canary, [group.group], group.loss)
  const up = availabilityOf(group, incidents, wallMs, DAY_MS)
  const rtoMs = services?.find((service) => service.groups.includes(group.group))?.rtoMs ?? null
  const longest = Math.max(0, ...incidents.flatMap((one) => (one.group === group.group ? [one.writeGapMs ?? 0] : [])))
  return (
    <dl className="facts">
      <Fact name="Safe now?" value={group.verdict.safe ? 'Yes' : 'No'} more={group.verdict.because} wide />
      <Fact name="Lost this second?" value={lost} more={`if the primary's site burned. ${because}`} wide />
      <Fact name="Last proved?" value={proofText(incidents, [group.group], wallMs) ?? 'Never'} more="" wide />
      <Fact
        name="Writer"
        value={group.writer ?? 'nobody'}
        more={`epoch ${group.epoch}, lease of ${durationText(group.ttlMs)}, ${group.phase}`}
      />
      <Fact
        name="Some member open for writes, 24 h"
        value={shareText(up.share)}
        more={`${countText(up.gaps, 'gap')}, ${durationText(up.downMs)} in all`}
      />
      {rtoMs !== null && (
        <Fact
          name="Objective"
          value={`back within ${durationText(rtoMs)}`}
          more={longest === 0 ? 'no gap on record' : `longest gap on record ${durationText(longest)}`}
        />
      )}
      <Fact name="Copies" value={copiesText(group)} more={`${group.engine}, profile ${group.profile}`} />
    </dl>
  )
}

function copiesText({ replication: { kind, need, lossBytesMax } }: ApiGroup): string {
  if (kind === 'quorum') return `quorum, ${need ?? 1} confirm`
  if (kind === 'sync') return 'every write on two members'
  return lossBytesMax === null ? 'asynchronous' : `asynchronous, at most ${bytesText(lossBytesMax)} behind`
}

/** A group of a service is moved with it; one in none by itself. */
function Moves({ group, session }: { readonly group: ApiGroup; readonly session: ApiSession }) {
  const services = useLive((state) => state.platform?.services)
  const own = services?.filter((service) => service.groups.includes(group.group)) ?? []
  if (group.failover === 'observe') return null
  if (own.length > 0) {
    return (
      <p className="dim">
        Part of{' '}
        {own.map(({ service }) => (
          <Link key={service} to={`/services/${service}`}>
            {service}
          </Link>
        ))}
        , which is moved as a whole.
      </p>
    )
  }
  const at = group.members.find(({ member }) => member === group.writer)?.site ?? null
  return (
    <Section title="Move">
      <MovePanel service={`group:${group.group}`} groups={[group]} at={at} session={session} />
    </Section>
  )
}

function Members({ group }: { readonly group: ApiGroup }) {
  // Reasons are asked again when they may have become others.
  const turn = JSON.stringify([
    group.epoch,
    group.eligible,
    group.members.map(({ role, streaming }) => [role, streaming]),
  ])
  const explained = useAnswer('explainGroup', { params: { group: group.group } }, turn)
  return (
    <Section title="Members">
      <TableBox label="Members" stacked>
        <thead>
          <tr>
            <th scope="col">Member</th>
            <th scope="col">Site</th>
            <th scope="col">Role</th>
            <th scope="col">State</th>
            <th scope="col" className="number">
              Behind
            </th>
            <th scope="col" className="number">
              May write for
            </th>
            <th scope="col">Could take over</th>
          </tr>
        </thead>
        <tbody>
          {group.members.map((member) => (
            <MemberRow key={member.member} group={group} member={member} explanation={explained.value} />
          ))}
        </tbody>
      </TableBox>
      {explained.value !== null && <p className="dim">If the holder died now: {explained.value.wouldDo}</p>}
      {explained.trouble !== null && <TroubleBox trouble={explained.trouble} />}
    </Section>
  )
}

interface MemberRowProps {
  readonly group: ApiGroup
  readonly member: ApiMember
  readonly explanation: ApiExplanation | null
}

function MemberRow({ group, member, explanation }: MemberRowProps) {
  const writes = member.member === group.writer
  const candidate = explanation?.candidates.find((one) => one.member === member.member)
  const able = candidate?.eligible ?? member.eligible
  const why = candidate?.because.map(({ code, detail }) => [code.replaceAll('-', ' '), detailText(detail)]) ?? []
  return (
    <tr className={writes ? 'is-writer' : ''} data-member={member.member} data-role={member.role}>
      <th scope="row">
        {member.member}
        {writes && <span className="tag">writer</span>}
      </th>
      <td data-label="Site">{member.site}</td>
      <td data-label="Role">{member.role}</td>
      <td data-label="State">
        <span>
          {member.state}
          {member.because !== '' && <span className="cell-note">{member.because}</span>}
        </span>
      </td>
      <td className="number" data-label="Behind">
        {writes ? '' : member.lagBytes === null ? 'not known' : bytesText(member.lagBytes)}
      </td>
      <td className="number" data-label="May write for">
        {member.writableForMs > 0 ? durationText(member.writableForMs) : ''}
      </td>
      <td data-label="Could take over">
        <span>
          {writes ? 'holds the lease' : able ? 'yes' : 'no'}
          {!writes &&
            why.map(([code, detail]) => (
              <span key={code} className="cell-note">
                {code}
                {detail === '' ? '' : `: ${detail}`}
              </span>
            ))}
        </span>
      </td>
    </tr>
  )
}
