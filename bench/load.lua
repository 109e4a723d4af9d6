-- One slice of load. Arguments: a file with a Cookie header's value a line, and the profile.
-- Prints a line of JSON when it is done.
local requests, at = {}, 0

-- Of each 100 requests, in a mixture that repeats: how many change the session, how many log in.
local profiles = {
  read = { change = 0, login = 0 },
  change = { change = 100, login = 0 },
  login = { change = 0, login = 100 },
  mixed = { change = 9, login = 1 },
  dead = { change = 0, login = 0 },
}

function init(arguments)
  local profile = profiles[arguments[2]]
  local cookies = {}
  for line in io.lines(arguments[1]) do cookies[#cookies + 1] = line end
  for index = 1, math.max(#cookies, 100) do
    local cookie = { Cookie = cookies[(index - 1) % #cookies + 1] }
    -- 37 has no divisor in common with 100, so changes do not come in a bunch.
    local place = index * 37 % 100
    if place < profile.login then
      requests[index] = wrk.format('POST', '/login')
    elseif place < profile.login + profile.change then
      requests[index] = wrk.format('POST', '/change', cookie)
    else
      requests[index] = wrk.format('GET', '/read', cookie)
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"failed":%d,"cpu":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    os.clock() * 1000000))
end
