/**
 * `RedisStore`, for Redis and Valkey, on one server, with Sentinel or as a cluster.
 *
 * @module coatcheck/redis
 */

export * from '../stores/redis.js'
