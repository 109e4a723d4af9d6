export * from '../stores/sqlite.js'
