// Babel leaves `require` alone and turns `import` into it.
import imported from './imported.mjs'
const { assertOneInstance } = require('./assert-one-instance.cjs')

test('require and import give one instance', () => assertOneInstance(require('./required.cjs'), imported))
