/** One service: its answers, its order, the plan that moves it, and every plan before. */
import type { ApiService, ApiSession } from '@holdfast/client'
import { useLive, useWallMs } from '../live/use-live.tsx'
import { lostNow } from '../measured.ts'
import { EventList } from '../parts/event-list.tsx'
import { Fact } from '../parts/fact.tsx'
import { MovePanel } from '../parts/move-panel.tsx'
import { Badge, Empty, Section, TONE_OF } from '../parts/pieces.tsx'
import { PlanHistory } from '../parts/plan-history.tsx'
import { Link } from '../place.tsx'
import { objectiveText, placeText, proofText, serviceStanding } from '../standing.ts'
import { OrderMap } from '../topology/order-map.tsx'
import { durationText } from '../words.ts'

const EVENTS_SHOWN = 12

export function ServiceScreen({ name, session }: { readonly name: string; readonly session: ApiSession }) {
  const platform = useLive((state) => state.platform)
  const events = useLive((state) => state.events)
  const service = platform?.services.find((one) => one.service === name) ?? null
  if (service === null || platform === null) {
    return (
      <>
        <h1>{name}</h1>
        <Empty>There is no service of this name, or you may not see every group of it.</Empty>
      </>
    )
  }
  const groups = platform.groups.filter(({ group }) => service.groups.includes(group))
  const { level, word } = serviceStanding(service, groups)
  const own = events.filter(({ group, kind }) => kind === 'plan' && service.groups.includes(group ?? ''))
  return (
    <>
      <div className="title">
        <h1>{name}</h1>
        <Badge tone={TONE_OF[level]}>{word}</Badge>
        <span className="dim" data-at={service.at ?? ''}>
          {placeText(service)}
        </span>
      </div>
      <Facts service={service} />
      <Section title="Its order">
        <p className="dim">What must be up first stands before what needs it; a move goes the same way.</p>
        <OrderMap service={service} groups={groups} />
        <p className="card-links">
          {service.groups.map((group) => (
            <Link key={group} to={`/groups/${group}`}>
              {group}
            </Link>
          ))}
        </p>
      </Section>
      <Section title="Move">
        <MovePanel service={name} groups={groups} at={service.at} session={session} />
      </Section>
      <Section title="Plans so far">
        <PlanHistory service={name} />
      </Section>
      <Section title="What happened">
        {own.length === 0 ? <Empty>Nothing yet.</Empty> : <EventList events={own.slice(0, EVENTS_SHOWN)} />}
      </Section>
    </>
  )
}

const HOME_WORDS: Readonly<Record<ApiService['comeHome'], string>> = {
  never: 'it stays where it went',
  ask: 'a person brings it home',
  'when-healthy': 'it comes home by itself when home is whole',
}

function Facts({ service }: { readonly service: ApiService }) {
  const incidents = useLive((state) => state.incidents)
  const wallMs = useWallMs()
  const objective = objectiveText(service)
  const canary = useLive((state) => state.canary)
  const [lost, because] = lostNow(canary, service.groups, service.loss)
  return (
    <dl className="facts">
      <Fact name="Safe now?" value={service.verdict.safe ? 'Yes' : 'No'} more={service.verdict.because} wide />
      <Fact name="Lost this second?" value={lost} more={because} wide />
      <Fact
        name="Last proved?"
        value={proofText(incidents, service.groups, wallMs) ?? 'Never'}
        more={`counts when every group of it has changed its primary`}
        wide
      />
      <Fact name="Home" value={service.home} more={placeText(service)} />
      <Fact
        name="If its site is lost"
        value={service.siteLoss === 'automatic' ? 'It moves by itself' : 'A person decides'}
        more={HOME_WORDS[service.comeHome]}
      />
      <Fact
        name="Objective"
        value={objective ?? 'none'}
        more={objective === null ? 'the description names none' : ''}
      />
      {service.hooks.length > 0 && (
        <Fact
          name="Hooks"
          value={service.hooks.map((hook) => hook.name).join(', ')}
          more={service.hooks
            .map(
              ({ when, group, deadlineMs }) => `${when} ${group ?? 'the whole'}, at most ${durationText(deadlineMs)}`,
            )
            .join('; ')}
        />
      )}
    </dl>
  )
}
