import adapter = require('../adapters/csrf-middleware.js')
import csrf = adapter.csrf
export = csrf
