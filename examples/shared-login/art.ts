import { html, type Html } from './html.ts'

// The colours are classes of public/style.css.
const drawing = (shapes: Html): Html =>
  html`<svg viewBox="0 0 120 120" aria-hidden="true" focusable="false">${shapes}</svg>`

/** A drawing of each product, by its id. */
export const pictures: Readonly<Record<string, Html>> = {
  overcoat: drawing(html`
    <path
      class="camel"
      d="M46 22 30 30c-4 2-6 5-7 10l-6 42 13 3 5-24v44h50V61l5 24 13-3-6-42c-1-5-3-8-7-10l-16-8-14 8Z"
    />
    <path class="camel-deep" d="M46 22 38 34l10 6-4 7 16 17 16-17-4-7 10-6-8-12-14 12Z" />
    <path class="line" d="M60 64v41M40 84h11M69 84h11" />
    <circle class="dot" cx="54" cy="70" r="2" /><circle class="dot" cx="66" cy="70" r="2" />
    <circle class="dot" cx="54" cy="80" r="2" /><circle class="dot" cx="66" cy="80" r="2" />
  `),
  raincoat: drawing(html`
    <path
      class="moss"
      d="M48 28 33 34c-4 2-6 5-7 9l-8 38 12 4 6-20-3 40h54l-3-40 6 20 12-4-8-38c-1-4-3-7-7-9l-15-6Z"
    />
    <path class="moss-deep" d="M43 35c-1-12 6-20 17-20s18 8 17 20c-4 6-10 9-17 9s-13-3-17-9Z" />
    <path class="hollow" d="M49 34c0-8 4-13 11-13s11 5 11 13c-3 3-7 4-11 4s-8-1-11-4Z" />
    <path class="line" d="M60 44v61M41 80l12-3M67 77l12 3" />
    <path class="line" d="M55 53h10M55 64h10M55 75h10" />
  `),
  umbrella: drawing(html`
    <path class="line thick" d="M60 18v76c0 6-4 10-9 10s-9-4-9-10" />
    <path
      class="night"
      d="M14 64c2-24 21-40 46-40s44 16 46 40c-4-5-8-7-12-7s-8 2-11 7c-3-5-7-7-11-7s-9 2-12 7c-3-5-8-7-12-7s-8 2-11 7c-3-5-7-7-11-7s-8 2-12 7Z"
    />
    <path class="line light" d="M60 25c-11 9-21 22-23 39M60 25c11 9 21 22 23 39M60 25v38" />
  `),
  hat: drawing(html`
    <path class="plum" d="M32 74c2-22 4-40 12-42 6-2 11 3 16 3s10-5 16-3c8 2 10 20 12 42Z" />
    <path class="plum-deep" d="M31 72c18 7 40 7 58 0l1 10H30Z" />
    <path class="plum" d="M10 77c4-4 12-5 20-2 19 7 41 7 60 0 8-3 16-2 20 2-6 12-26 18-50 18s-44-6-50-18Z" />
    <path class="line light" d="M46 45c4 3 9 4 14 4s10-1 14-4" />
  `),
  scarf: drawing(html`
    <path class="rust" d="M66 44 82 102H60L50 50Z" />
    <path class="rust-deep" d="M52 44 42 108H64L70 48Z" />
    <path class="rust" d="M28 36c0-12 14-20 32-20s32 8 32 20-14 20-32 20-32-8-32-20Z" />
    <path class="hollow" d="M38 32c2-7 11-10 22-10s20 3 22 10c-5 5-13 7-22 7s-17-2-22-7Z" />
    <path class="line light" d="M47 80h18M46 88h20M45 96h20M31 44c7 6 17 9 29 9s22-3 29-9" />
    <path class="line" d="M45 108v5M51 108v5M57 108v5M63 108v5" />
  `),
  hanger: drawing(html`
    <path class="brass" d="M60 52V44c0-4 10-6 10-14 0-6-4-10-10-10s-10 4-10 9" />
    <path
      class="cedar"
      d="M60 46c3 0 5 1 8 3l36 26c6 5 3 13-5 13-13 0-22-7-39-7s-26 7-39 7c-8 0-11-8-5-13l36-26c3-2 5-3 8-3Z"
    />
    <path class="line" d="M26 79c12-2 21-8 34-8s22 6 34 8" />
  `),
}
