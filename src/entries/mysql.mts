export * from '../stores/mysql.js'
