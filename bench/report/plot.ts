import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import { contenders } from '../contenders.ts'
import type { Sleep } from '../load.ts'
import { type Measured, middle, scenarioOf } from './measured.ts'

const what = { read: 'each request reads its session', change: 'each request changes its session' }

/** Requests/s of every kind of session on Express, reading and changing, as an SVG picture. */
export async function plot(measured: Measured, cores: Sleep): Promise<string> {
  const values = (['read', 'change'] as const).flatMap((profile) => {
    const scenario = scenarioOf(measured, cores, { profile })
    return contenders
      .filter(({ framework }) => framework === 'express')
      .map(({ name, title }) => ({
        profile: what[profile],
        title: title.replace('Express: ', ''),
        kind: name === 'express/none' ? 'none' : name.includes('coatcheck') ? 'coatcheck' : 'other',
        perSecond: Math.round(middle(scenario, name, (slice) => slice.perSecond)),
      }))
  })
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    data: { values },
    title: {
      text: 'Requests a second on one core',
      subtitle:
        'Express, 64 connections, sessions with a user and a cart of five items; MySQL is a MariaDB with its default settings',
      anchor: 'start',
      fontSize: 16,
      subtitleColor: '#555',
      subtitlePadding: 6,
      offset: 14,
    },
    facet: {
      column: {
        field: 'profile',
        title: null,
        sort: Object.values(what),
        header: { labelFontSize: 13, labelAnchor: 'start' },
      },
    },
    spec: {
      width: 300,
      height: { step: 26 },
      encoding: {
        y: {
          field: 'title',
          type: 'nominal',
          sort: null,
          title: null,
          axis: { ticks: false, domain: false },
        },
        x: {
          field: 'perSecond',
          type: 'quantitative',
          title: null,
          axis: { tickCount: 4, format: '~s', gridColor: '#e4e4e4' },
        },
      },
      layer: [
        {
          mark: { type: 'bar', cornerRadiusEnd: 2, height: 18 },
          encoding: {
            color: {
              field: 'kind',
              type: 'nominal',
              legend: null,
              scale: { domain: ['none', 'coatcheck', 'other'], range: ['#c9c9c9', '#1f6f5c', '#c58b54'] },
            },
          },
        },
        {
          mark: { type: 'text', align: 'left', dx: 4, fontSize: 11, color: '#333' },
          encoding: { text: { field: 'perSecond', type: 'quantitative', format: ',' } },
        },
      ],
    },
    config: {
      background: 'white',
      padding: 14,
      font: 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif',
      view: { stroke: null },
      axis: { labelFontSize: 12, labelColor: '#222', labelLimit: 400 },
    },
  }
  return `${await new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG()}\n`
}
