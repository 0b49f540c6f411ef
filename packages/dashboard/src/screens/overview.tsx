/** The first screen: one sentence for everything, then a card for each service or group with the three answers. */
import type { ApiGroup, ApiLoss, ApiService, ApiSession, ApiSupervisedGroup } from '@holdfast/client'
import { automationOf } from '../live/live-state.ts'
import { useLive, useWallMs } from '../live/use-live.tsx'
import { lostNow } from '../measured.ts'
import { EventList } from '../parts/event-list.tsx'
import { Levers } from '../parts/levers.tsx'
import { Badge, Empty, Section, Shape, TONE_OF } from '../parts/pieces.tsx'
import { PlanBadge } from '../parts/plan-progress.tsx'
import { Link } from '../place.tsx'
import { isOver, planWords, stepsDone } from '../plan-words.ts'
import { headlineOf, objectiveText, placeText, proofText, serviceStanding, standingOf } from '../standing.ts'
import { lagOf, MANAGER_NAMES, supervisedStanding } from '../supervised.ts'
import { countText } from '../words.ts'

const EVENTS_SHOWN = 8

export function Overview({ session }: { readonly session: ApiSession }) {
  const platform = useLive((state) => state.platform)
  const events = useLive((state) => state.events)
  if (platform === null) return null
  const { groups, services, supervised } = platform
  const headline = headlineOf(groups, supervised)
  const loose = groups.filter(({ group }) => !services.some((service) => service.groups.includes(group)))
  const silent = platform.agents.filter((agent) => !agent.reachable)
  return (
    <>
      <h1 className="hidden">Overview</h1>
      <div className={`headline ${TONE_OF[headline.level]}`} role="status">
        <Shape tone={TONE_OF[headline.level]} />
        <p>{headline.text}</p>
      </div>
      {silent.length > 0 && (
        <p className="note">
          {countText(silent.length, 'agent does', 'agents do')} not answer:{' '}
          {silent.map(({ agent, because }) => `${agent} (${because})`).join(', ')}
        </p>
      )}
      <Levers session={session} groups={groups} automation={automationOf(groups)} />
      <div className="cards">
        {services.map((service) => (
          <ServiceCard key={service.service} service={service} groups={groups} />
        ))}
        {supervised.map((group) => (
          <SupervisedCard key={group.group} group={group} />
        ))}
        {loose.map((group) => (
          <GroupCard key={group.group} group={group} />
        ))}
      </div>
      <Section title="Lately" aside={<Link to="/incidents">All incidents</Link>}>
        {events.length === 0 ? (
          <Empty>Nothing has happened yet.</Empty>
        ) : (
          <EventList events={events.filter(({ severity }) => severity !== 'info').slice(0, EVENTS_SHOWN)} />
        )}
      </Section>
    </>
  )
}

function Answers({
  safe,
  loss,
  groups,
}: {
  readonly safe: readonly [string, string]
  readonly loss: ApiLoss
  readonly groups: readonly string[]
}) {
  const incidents = useLive((state) => state.incidents)
  const wallMs = useWallMs()
  const canary = useLive((state) => state.canary)
  const [lost, because] = lostNow(canary, groups, loss)
  const proof = proofText(incidents, groups, wallMs)
  const never =
    groups.length === 1 ? 'no change of primary is on record' : 'not every group of it has changed its primary'
  return (
    <dl className="answers">
      <dt>Safe now?</dt>
      <dd>
        <strong>{safe[0]}</strong> <span className="dim">{safe[1]}</span>
      </dd>
      <dt>Lost this second?</dt>
      <dd>
        <strong>{lost}.</strong> <span className="dim">{because}</span>
      </dd>
      <dt>Last proved?</dt>
      <dd>
        {proof === null ? (
          <>
            <strong>Never</strong> <span className="dim">{never}</span>
          </>
        ) : (
          proof
        )}
      </dd>
    </dl>
  )
}

function GroupCard({ group }: { readonly group: ApiGroup }) {
  const { level, word } = standingOf(group)
  const observed = group.failover === 'observe'
  const writer = group.members.find(({ member, role }) => (observed ? role === 'primary' : member === group.writer))
  const does = observed ? 'is primary' : 'writes'
  const { replication } = group
  return (
    <article className={`card ${TONE_OF[level]}`} data-group={group.group}>
      <header>
        <h2>
          <Link to={`/groups/${group.group}`}>{group.group}</Link>
        </h2>
        <Badge tone={TONE_OF[level]}>{word}</Badge>
      </header>
      <Answers
        safe={[group.verdict.safe ? 'Yes.' : 'No.', group.verdict.because]}
        loss={group.loss}
        groups={[group.group]}
      />
      <p className="card-foot">
        <span className={writer === undefined ? 'writer none' : 'writer'} data-writer={group.writer ?? ''}>
          {writer === undefined ? 'nobody writes' : `${writer.member} ${does} in ${writer.site}`}
        </span>
        <span>epoch {group.epoch}</span>
        <span>
          {group.engine}, {replication.kind}
        </span>
        {group.failover !== 'automatic' && <span>{observed ? 'observe-only' : 'by hand'}</span>}
      </p>
    </article>
  )
}

function ServiceCard({ service, groups }: { readonly service: ApiService; readonly groups: readonly ApiGroup[] }) {
  const plan = useLive((state) => state.platform?.plans.find((one) => one.service === service.service) ?? null)
  const { level, word } = serviceStanding(service, groups)
  const objective = objectiveText(service)
  return (
    <article className={`card ${TONE_OF[level]}`} data-service={service.service}>
      <header>
        <h2>
          <Link to={`/services/${service.service}`}>{service.service}</Link>
        </h2>
        <Badge tone={TONE_OF[level]}>{word}</Badge>
      </header>
      {plan !== null && !isOver(plan) && (
        <p className="progress">
          {planWords(plan)} <PlanBadge plan={plan} /> {stepsDone(plan)}
        </p>
      )}
      <Answers
        safe={[service.verdict.safe ? 'Yes.' : 'No.', service.verdict.because]}
        loss={service.loss}
        groups={service.groups}
      />
      <p className="card-foot">
        <span data-at={service.at ?? ''}>{placeText(service)}</span>
        {service.groups.map((name) => {
          const writer = groups.find((one) => one.group === name)?.writer ?? null
          return (
            <span key={name} data-group={name}>
              <Link to={`/groups/${name}`}>{name}</Link>{' '}
              <span className={writer === null ? 'writer none' : 'writer'} data-writer={writer ?? ''}>
                {writer ?? 'nobody writes'}
              </span>
            </span>
          )
        })}
        {objective !== null && <span>objective: {objective}</span>}
      </p>
    </article>
  )
}

function SupervisedCard({ group }: { readonly group: ApiSupervisedGroup }) {
  const { level, word } = supervisedStanding(group)
  const lag = lagOf(group)
  const primaries = group.shards.flatMap(({ primary }) => primary ?? [])
  return (
    <article className={`card ${TONE_OF[level]}`} data-group={group.group}>
      <header>
        <h2>
          <Link to={`/groups/${group.group}`}>{group.group}</Link>
        </h2>
        <Badge tone={TONE_OF[level]}>{word}</Badge>
      </header>
      <Answers
        safe={[group.verdict.safe ? 'Yes.' : 'No.', group.verdict.because]}
        loss={{
          kind: lag === null ? 'unknown' : 'bytes',
          bytes: lag,
          because: 'if its primary were lost: how far the furthest replica is behind',
        }}
        groups={[group.group]}
      />
      <p className="card-foot">
        <span className={primaries.length === 0 ? 'writer none' : 'writer'} data-writer={primaries.join(' ')}>
          {primaries.length === 0 ? 'no primary' : `${primaries.join(', ')} ${primaries.length > 1 ? 'lead' : 'leads'}`}
        </span>
        <span>supervised: {MANAGER_NAMES[group.by]} promotes, Holdfast does not</span>
      </p>
    </article>
  )
}
