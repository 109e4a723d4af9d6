import type { FailureKind } from '../../core/store/store-failure.js'

/** The server's own numbers for what it says no with. */
export const errorNumber = {
  duplicateKey: 1062,
  duplicateColumn: 1060,
  duplicateKeyName: 1061,
  unknownColumn: 1054,
  syntax: 1064,
  missingTable: 1146,
  outOfRange: 1690,
  deniedDatabase: 1044,
  deniedTable: 1142,
  nodeNotReady: 1047,
} as const

/** What an error of the driver or the server is. Neither text holds anything of what the server said. */
export interface MySQLRefusal {
  readonly kind: FailureKind
  readonly what: string
  readonly cure: string
  /** Whether it is known from the list below, not only by its class. */
  readonly isListed: boolean
}

const update =
  'coatcheck needs MySQL 8.0 or later, or MariaDB 10.6 or later. If the server is newer than this coatcheck, update coatcheck'
const schema = 'Give the table the columns that schema/mysql.sql has, or that express-mysql-session makes'
const repair = 'See its log, and repair the table, such as by CHECK TABLE and REPAIR TABLE'
const up = 'Check that the database is up and reachable'
const log = 'See the log of the database'

/**
 * By the server's numbers, which MySQL and MariaDB share, and by the driver's codes. A number that means something else on one of
 * them is that of a statement which is not sent here, or has an SQLSTATE of its own. Numbers below 100 are those of the server's
 * system calls, such as 3 (EE_WRITE), which MySQL gives where its disk is full.
 */
const list: readonly (readonly [kind: FailureKind, codes: string, what: string, cure: string])[] = [
  [
    'data',
    '1300 1366 3854 3988',
    'the character set of the table lacks a character of the session, such as an emoji',
    'Convert the table: ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4',
  ],
  [
    'data',
    '1118 1264 1265 1406 1690',
    'something in the session is too long for its column',
    'Give the column the type that the store makes, such as MEDIUMTEXT for the data, or keep less in the session',
  ],
  [
    'data',
    '1153 1301',
    'the session is larger than the server takes in one statement',
    'Keep less in the session, or raise max_allowed_packet of the server',
  ],
  [
    'data',
    '3140 3141 3144 3150 3157 3158',
    'a column of the type JSON refuses the session',
    'Make it MEDIUMTEXT: what sessions hold is not always what such a column takes',
  ],
  [
    'data',
    '1048 1062 1216 1292 1452 1644 3819 4025',
    'a constraint or a trigger of the table refuses the session',
    'Change that, or what the session holds. What it says is the cause of this error',
  ],
  [
    'configuration',
    '1045 1698',
    'the server refuses the user or the password',
    "Check both in DATABASE_URL or the pool options; characters such as % and @ in a URL are written %25 and %40. On a fresh MariaDB, the anonymous user of localhost comes before 'user'@'%': drop it, or make 'user'@'localhost'. An account that requires TLS needs ?ssl=true in DATABASE_URL, or ssl in pool options",
  ],
  [
    'configuration',
    '3118 3955 4150 4151',
    "the user's account is locked",
    'Unlock it: ALTER USER … ACCOUNT UNLOCK',
  ],
  [
    'configuration',
    '1820 1862',
    "the user's password has expired",
    'Give the user another: ALTER USER … IDENTIFIED BY …',
  ],
  [
    'configuration',
    '1251 1275 1524 2059 AUTH_SWITCH_PLUGIN_ERROR MYSQL_CLEAR_PASSWORD_NOT_ENABLED',
    "the driver and the server do not agree on how the user's password is checked",
    'Let the user have caching_sha2_password or mysql_native_password (ALTER USER … IDENTIFIED WITH …), or give the driver what it lacks (authPlugins)',
  ],
  [
    'configuration',
    '3159',
    'the server takes connections over TLS only',
    'Ask for TLS by ?ssl=true in DATABASE_URL, or by ssl in pool options',
  ],
  [
    'configuration',
    'HANDSHAKE_NO_SSL_SUPPORT',
    'the database offers no TLS, and ssl asks for it',
    'Turn TLS on in the database; leave ssl out only where the network between is trusted',
  ],
  [
    'configuration',
    '1129',
    'the server has blocked this host after too many failed connections',
    'Mend what failed, and run FLUSH HOSTS',
  ],
  [
    'configuration',
    '1130',
    'the server lets no user in from this host',
    'Make the user for the host that the app connects from: CREATE USER … @ …',
  ],
  [
    'configuration',
    '1046 1049',
    'there is no database of that name',
    'Create it, or name another one in DATABASE_URL or the pool options',
  ],
  [
    'configuration',
    '1044 1142 1143 1227 1370',
    'the user lacks a right, or the database has another name',
    'Check the name of the database; GRANT SELECT, INSERT, UPDATE and DELETE on the tables of the store. CREATE is needed only to make the tables',
  ],
  [
    'configuration',
    '1051 1109 1146 1932',
    'a table is missing: that of the store, or one that a trigger of yours uses',
    'Let the store make its own (createTable, or createDatabaseTable of express-mysql-session), or make it by hand',
  ],
  ['configuration', '1054 1136', 'the table has other columns than the store', schema],
  [
    'configuration',
    '1364',
    'the table has a column that must be filled and that the store does not know',
    schema,
  ],
  ['configuration', '1128 1305 1630', 'the server lacks a function that the store uses', update],
  [
    'configuration',
    '1064 1115 1149 1193 1231 1235 1273 1295',
    'the server does not understand a statement of the store',
    update,
  ],
  [
    'configuration',
    '1253 1267 1270 1271',
    'the collation of the table does not go with that of the connection',
    'Convert the table: ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4',
  ],
  [
    'configuration',
    '1461',
    'the server has as many prepared statements as it may',
    'Raise max_prepared_stmt_count of the server, or lower connectionLimit or maxPreparedStatements',
  ],
  ['configuration', '1785 3098 3750', 'the cluster does not take this table', schema],
  ['configuration', '1033 1034 1194 1195 1712 1877', 'the table is damaged', repair],
  [
    'busy',
    '1020 1205 1206 1213 1223 1615 1637 1689 3058 3101 3572',
    'others locked the sessions for too long',
    'Try again; if it recurs, find what locks the sessions',
  ],
  [
    'away',
    '1047',
    'this node of the cluster is not ready',
    'Check that it has contact with the other nodes, or connect to another one',
  ],
  [
    'away',
    '1036 1290 1792 1836 3989',
    'the database takes no changes, because it is set to read_only',
    'Let the store connect to the primary; if this is the primary, SET GLOBAL read_only = 0',
  ],
  [
    'away',
    '1040 1203 1226',
    'the server lets no more connections or statements in',
    'Raise max_connections or the limits of the user, or lower connectionLimit of the apps',
  ],
  [
    'away',
    '20 1021 1114 3675',
    'the server has no room left on its disk',
    'Make room on the disk of the server, or give the table more',
  ],
  [
    'away',
    '5 1037 1038 1041 1135 3015',
    'the server has not enough memory',
    `${log}, and give it more memory`,
  ],
  [
    'away',
    '1969 3024',
    'the server stopped a statement that took too long',
    'Find what makes the database slow, or raise max_statement_time or max_execution_time',
  ],
  [
    'away',
    '1 2 3 4 6 7 9 10 11 12 13 18 1004 1005 1015 1016 1017 1024 1026 1030 1180 1181 1182 1296 1297 1998 3019 3100',
    'the server cannot read or write its files',
    log,
  ],
  [
    'away',
    '1053 1077 1079 1080 1152 1158 1159 1160 1161 1184 1927 3032 3168 3169 4031 PROTOCOL_CONNECTION_LOST',
    'the server ended the connection, or is going away',
    up,
  ],
  ['away', 'ENOTFOUND EAI_AGAIN', 'the name of the server is not known', `${up}, and that its name is right`],
]

const poolInUse: MySQLRefusal = {
  kind: 'busy',
  what: 'all connections of the pool are in use',
  cure: 'Give it a higher connectionLimit, or leave out waitForConnections and queueLimit',
  isListed: true,
}
/** As it is while an app ends: whoever asks then is to ask another process. */
const poolClosed: MySQLRefusal = {
  kind: 'away',
  what: 'the pool that the store uses is closed',
  cure: 'Close the pool after the store, and the store after the server',
  isListed: true,
}
/** What a pool of the driver's says, without a code. */
export const saidByPool = new Map([
  ['No connections available.', poolInUse],
  ['Queue limit reached.', poolInUse],
  ['Pool is closed.', poolClosed],
])

/** By the number or the code, as text. */
export const listed = new Map(
  list.flatMap(([kind, codes, what, cure]) =>
    codes.split(' ').map((code): [string, MySQLRefusal] => [code, { kind, what, cure, isListed: true }]),
  ),
)

/** What an error is whose number says nothing. Of what is not known at all, only that others need not suffer from it. */
export const unlisted: Readonly<Record<FailureKind | 'unknown', Omit<MySQLRefusal, 'isListed'>>> = {
  data: {
    kind: 'data',
    what: 'the database refuses what the session holds',
    cure: 'Change the table so that it takes it, or what the session holds. What the database says is the cause of this error',
  },
  configuration: {
    kind: 'configuration',
    what: 'the database refuses the app, or a statement of the store',
    cure: 'What it says is the cause of this error',
  },
  busy: {
    kind: 'busy',
    what: 'others were in the way',
    cure: 'Try again; if it recurs, find what stops statements or locks the sessions',
  },
  away: { kind: 'away', what: 'there is no way to the database', cure: up },
  unknown: {
    kind: 'configuration',
    what: 'the reason is not one that coatcheck knows',
    cure: 'What the database or the driver says is the cause of this error',
  },
}
