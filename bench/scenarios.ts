import { commonShapes, mainShape, type ShapeName } from './apps/shapes.ts'
import { contenders, type Contender, onSixtyFour } from './contenders.ts'
import type { Load, Profile, Sleep } from './load.ts'

/** One table of the report: the same load for several contenders. */
export interface Scenario extends Pick<Load, 'profile' | 'connections'> {
  /** What the sessions hold. */
  readonly shape: ShapeName
  readonly contenders: readonly Contender[]
  /** Left out: with idle cores kept awake, and with cores that sleep. */
  readonly cores?: Sleep
}

const express = contenders.filter(({ framework }) => framework === 'express')
const kinds = [
  'none', 'coatcheck-mysql', 'coatcheck-postgresql', 'coatcheck-redis', 'coatcheck-sqlite', 'coatcheck-memory', 'mysql', 'postgresql', 'redis', 'memory',
] // prettier-ignore
const few = express.filter(({ kind }) => kinds.includes(kind))
const main = { connections: 64, shape: mainShape }
const profiles: readonly Profile[] = ['read', 'change', 'login', 'mixed']
/** As on rented machines: that is what users see. */
const asleep = { cores: 'asleep' } as const
const otherShapes = [...commonShapes.filter((shape) => shape !== mainShape), 'large' as const]

/** From one point, read-only on 64 connections with a cart, along each line: profiles, connections, shapes. */
export const scenarios: readonly Scenario[] = [
  { ...main, profile: 'read', contenders },
  ...profiles.slice(1).map((profile) => ({ ...main, profile, contenders: express })),
  ...[1, 16].map((connections) => ({
    ...main,
    ...asleep,
    profile: 'read' as const,
    connections,
    contenders: few,
  })),
  { ...main, ...asleep, profile: 'read', connections: 256, contenders: [...few, onSixtyFour] },
  // On one connection nothing is batched, so that statements can be counted out.
  { ...main, ...asleep, profile: 'dead', connections: 1, contenders: few },
  ...otherShapes.flatMap((shape) =>
    (['read', 'change'] as const).map((profile) => ({ ...main, ...asleep, profile, shape, contenders: few })),
  ),
]

const quickHTTP = contenders.filter(
  ({ framework, kind }) => framework === 'http' && ['none', 'coatcheck-mysql', 'mysql'].includes(kind),
)

/** For a look in under two minutes. */
export const quickScenarios: readonly Scenario[] = [
  { ...main, profile: 'read', contenders: [...few, ...quickHTTP] },
  { ...main, profile: 'change', contenders: few },
]
