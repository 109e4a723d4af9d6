// Loads what `declare module 'coatcheck'` in an app adds to.
import '../index.js'
import adapter = require('../adapters/express.js')
import session = adapter.session
export = session
