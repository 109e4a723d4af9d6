const { assertOneInstance } = require('./assert-one-instance.cjs')

void import('./imported.mjs').then(async ({ default: imported }) => {
  await assertOneInstance(require('./required.cjs'), imported)
  console.log('one instance')
})
