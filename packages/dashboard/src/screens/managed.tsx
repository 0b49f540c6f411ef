/** A group that another program leads: who is primary, what its voices say, and a switchover by its own command. */
import type { ApiAsked, ApiSession, ApiSupervisedGroup } from '@holdfast/client'
import { useState } from 'react'
import { useLive } from '../live/use-live.tsx'
import { EventList } from '../parts/event-list.tsx'
import { Fact } from '../parts/fact.tsx'
import { IntentProgress } from '../parts/intent-progress.tsx'
import { ManagedDialog } from '../parts/managed-dialog.tsx'
import { Badge, Empty, Section, Shape, TableBox, TONE_OF } from '../parts/pieces.tsx'
import { mayOver } from '../rights.ts'
import { concernText, drawnGroup, lagOf, MANAGER_NAMES, sitesOf, supervisedStanding } from '../supervised.ts'
import { GroupMap } from '../topology/group-map.tsx'
import { bytesText, detailText } from '../words.ts'

const EVENTS_SHOWN = 12

export function ManagedScreen({
  group,
  session,
}: {
  readonly group: ApiSupervisedGroup
  readonly session: ApiSession
}) {
  const events = useLive((state) => state.events)
  const { level, word } = supervisedStanding(group)
  const own = events.filter((event) => event.group === group.group).slice(0, EVENTS_SHOWN)
  return (
    <>
      <div className="title">
        <h1>{group.group}</h1>
        <Badge tone={TONE_OF[level]}>{word}</Badge>
        <span className="dim">led by {MANAGER_NAMES[group.by]}</span>
      </div>
      <Facts group={group} />
      <p className="note plain">{group.promotes}</p>
      <Levers group={group} session={session} />
      <Concerns group={group} />
      {group.members.length > 0 && (
        <Section title="Where it runs">
          <GroupMap group={drawnGroup(group)} sites={sitesOf(group)} />
        </Section>
      )}
      <Members group={group} />
      <Section title="What happened">
        {own.length === 0 ? <Empty>Nothing yet.</Empty> : <EventList events={own} />}
      </Section>
    </>
  )
}

function Facts({ group }: { readonly group: ApiSupervisedGroup }) {
  const { shards, manager, heard, asked, called, epoch, facts, verdict } = group
  const lag = lagOf(group)
  const primaries = shards.map(({ primary }) => primary ?? 'nobody')
  return (
    <dl className="facts">
      <Fact name="Safe now?" value={verdict.safe ? 'Yes' : 'No'} more={verdict.because} wide />
      <Fact
        name="Furthest behind"
        value={lag === null ? 'Not known' : bytesText(lag)}
        more="by the manager's and the engines' counters"
        wide
      />
      <Fact
        name={shards.length > 1 ? 'Primaries' : 'Primary'}
        value={primaries.length === 0 ? 'nobody' : primaries.join(', ')}
        more={epoch === null ? '' : `epoch ${epoch} of ${MANAGER_NAMES[group.by]}`}
        wide
      />
      <Fact
        name="Manager"
        value={manager}
        more={`${heard} of ${asked} answer${called === '' || called === group.group ? '' : `; there called ${called}`}`}
      />
      <Fact name="Its settings" value={Object.keys(facts).length === 0 ? 'not told' : detailText(facts)} more="" />
    </dl>
  )
}

function Concerns({ group: { concerns } }: { readonly group: ApiSupervisedGroup }) {
  if (concerns.length === 0) return null
  return (
    <Section title="What is wrong">
      {concerns.map((concern) => (
        <p key={JSON.stringify(concern)} className="loss-line">
          <Shape tone={concern.grave ? 'bad' : 'risk'} />
          <span>{concernText(concern)}</span>
        </p>
      ))}
    </Section>
  )
}

function Levers({ group, session }: { readonly group: ApiSupervisedGroup; readonly session: ApiSession }) {
  const [open, setOpen] = useState(false)
  const [asked, setAsked] = useState<ApiAsked | null>(null)
  if (!mayOver(session, 'operate', group.group)) {
    return <p className="dim">You may look at this group; to act on it takes the role of an operator.</p>
  }
  return (
    <div className="actions">
      <div className="buttons">
        <button type="button" className="primary" disabled={group.heard === 0} onClick={() => setOpen(true)}>
          Ask for a switchover…
        </button>
      </div>
      {asked !== null && <IntentProgress key={asked.intent ?? asked.approval?.id} group={group.group} asked={asked} />}
      {open && (
        <ManagedDialog
          group={group}
          onBegun={(answer) => {
            setAsked(answer)
            setOpen(false)
          }}
          onClose={() => setOpen(false)}
        />
      )}
      {group.failoverCommand !== '' && (
        <p className="dim">
          To force a failover, with its own tool: <code>{group.failoverCommand}</code>
        </p>
      )}
    </div>
  )
}

function Members({ group }: { readonly group: ApiSupervisedGroup }) {
  const sharded = group.shards.length > 1
  if (group.members.length === 0) return <Empty>Nobody of the manager answers, so its members are not known.</Empty>
  return (
    <Section title="Members">
      <TableBox label="Members" stacked>
        <thead>
          <tr>
            <th scope="col">Member</th>
            {sharded && <th scope="col">Slots</th>}
            <th scope="col">Site</th>
            <th scope="col">Role</th>
            <th scope="col">State</th>
            <th scope="col" className="number">
              Behind
            </th>
          </tr>
        </thead>
        <tbody>
          {group.members.map((member) => (
            <tr key={member.member} data-member={member.member} data-role={member.role}>
              <th scope="row">{member.member}</th>
              {sharded && <td data-label="Slots">{member.shard}</td>}
              <td data-label="Site">{member.site ?? ''}</td>
              <td data-label="Role">{member.role}</td>
              <td data-label="State">
                <span>
                  {member.state}
                  {member.because !== '' && <span className="cell-note">{member.because}</span>}
                </span>
              </td>
              <td className="number" data-label="Behind">
                {member.role === 'primary' ? '' : member.lagBytes === null ? 'not known' : bytesText(member.lagBytes)}
              </td>
            </tr>
          ))}
        </tbody>
      </TableBox>
    </Section>
  )
}
