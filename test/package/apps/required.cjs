// Every entry of the package, as CommonJS loads it.
module.exports = {
  coatcheck: require('coatcheck'),
  'coatcheck/express': require('coatcheck/express'),
  'coatcheck/cors': require('coatcheck/cors'),
  'coatcheck/csrf': require('coatcheck/csrf'),
  'coatcheck/express-mysql-session': require('coatcheck/express-mysql-session'),
  'coatcheck/handoff': require('coatcheck/handoff'),
  'coatcheck/mysql': require('coatcheck/mysql'),
  'coatcheck/open': require('coatcheck/open'),
  'coatcheck/postgresql': require('coatcheck/postgresql'),
  'coatcheck/redis': require('coatcheck/redis'),
  'coatcheck/sqlite': require('coatcheck/sqlite'),
  'coatcheck/testing': require('coatcheck/testing'),
}
