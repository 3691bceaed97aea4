-- One decision on limits, whole or not at all. What it may do stands at the end; what uses a window comes first.
--
-- KEYS: for each key, account or address that is limited its record (a hash) and its calls in flight (a sorted set by when each lease ends).
-- ARGV: what is asked, the time ('' for this server's own), the window, then what the question needs. Times and lengths are microseconds.
-- A window is what was used of a limit, by buckets: an amount and when the last of it was used, packed into one number. The fields of
-- a record begin with the window's letter: r of calls, t of tokens. Then u: used, o and n: oldest and newest bucket, b and a number: a
-- bucket; w: how much waits in line, f and g: first and last place of the line, l and a number: a place. See aisa/admission/window.py.
-- Besides there are d, how long calls last, q, whose turn for a place in flight was told last, and y, when the last call was let in.
local BUCKETS, PLACES, PACK = 240, 255, 262144
local LINE, PLACE_KEPT, TURN_MAX, FIRST_LASTING, LEARNING = 60000000, 1500000, 60000000, 2000000, 8
local KEPT_MILLISECONDS = 120000 -- beyond the window, a record that nobody asks for
local asked, span, lease_id = ARGV[1], tonumber(ARGV[3]), ARGV[4]
local width = math.ceil(span / BUCKETS)
local line_width = math.max(width, LINE / BUCKETS) -- of a minute the same; a line may be longer than a shorter window
local now
if ARGV[2] ~= '' then
  now = tonumber(ARGV[2])
else
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local bucket_now, place_now = math.floor(now / width), math.floor(now / line_width)

local function text(number) return string.format('%.0f', number) end

local function buckets(w, letter, first, last)
  local fields = {}
  for number = first, last do fields[#fields + 1] = w.kind .. letter .. text(number) end
  return #fields > 0 and redis.call('HMGET', w.record, unpack(fields)) or {}, fields
end

local function forget(w)
  if w.newest < w.oldest then return end
  local gone, found, fields = {}, buckets(w, 'b', w.oldest, math.min(w.oldest, w.newest))
  local at = 1
  while w.oldest <= w.newest do
    if at > #fields then
      found, fields = buckets(w, 'b', w.oldest, w.newest)
      at = 1
    end
    local packed = tonumber(found[at] or 0)
    if packed > 0 and w.oldest * width + packed % PACK + span > now then break end
    w.used = w.used - math.floor(packed / PACK)
    if packed > 0 then gone[#gone + 1] = fields[at] end
    w.oldest, at = w.oldest + 1, at + 1
  end
  if #gone > 0 then
    redis.call('HDEL', w.record, unpack(gone))
  end
  w.dirty = true
end

-- This server's clock may be set, or another server take over. What was used at a time that is yet to come, within a window, stays so, and
-- what comes goes with the newest. Further ahead it is taken for used just now: it would count until the clock is there again.
local function catch_up(w)
  local line_ahead = w.waiting > 0 and w.first > place_now + PLACES
  if w.newest <= bucket_now + BUCKETS and not line_ahead then return end
  local gone = select(2, buckets(w, 'b', w.oldest, w.newest))
  if w.waiting > 0 then
    for _, field in ipairs((select(2, buckets(w, 'l', w.first, w.last)))) do gone[#gone + 1] = field end
  end
  if #gone > 0 then redis.call('HDEL', w.record, unpack(gone)) end
  w.oldest, w.newest, w.waiting, w.dirty = 0, -1, 0, true
  if w.used > 0 then
    redis.call('HSET', w.record, w.kind .. 'b' .. text(bucket_now), text(w.used * PACK + now - bucket_now * width))
    w.oldest, w.newest = bucket_now, bucket_now
  end
end

local function window(record, kind, limit)
  if limit == '' then return nil end
  local state = redis.call('HMGET', record, kind .. 'u', kind .. 'o', kind .. 'n', kind .. 'w', kind .. 'f', kind .. 'g')
  local w = {record = record, kind = kind, limit = tonumber(limit)}
  w.used, w.oldest, w.newest = tonumber(state[1] or 0), tonumber(state[2] or 0), tonumber(state[3] or -1)
  w.waiting, w.first, w.last = tonumber(state[4] or 0), tonumber(state[5] or 0), tonumber(state[6] or 0)
  catch_up(w)
  forget(w)
  return w
end

local function save(w)
  if w and w.dirty then
    local k = w.kind
    redis.call('HSET', w.record, k .. 'u', text(w.used), k .. 'o', text(w.oldest), k .. 'n', text(w.newest),
      k .. 'w', text(w.waiting), k .. 'f', text(w.first), k .. 'g', text(w.last))
  end
end

local function leave_line(w, amount)
  local field = w.kind .. 'l' .. text(w.first)
  local had = tonumber(redis.call('HGET', w.record, field) or 0)
  amount = math.min(amount, had)
  w.waiting, had = w.waiting - amount, had - amount
  if had > 0 then
    redis.call('HSET', w.record, field, text(had))
    return
  end
  redis.call('HDEL', w.record, field)
  local found = buckets(w, 'l', w.first + 1, w.last)
  local step = 1
  while not found[step] and w.first + step < w.last do step = step + 1 end
  w.first = math.min(w.first + step, w.last)
end

local function add(w, amount)
  local number = math.max(w.newest, bucket_now)
  local field = w.kind .. 'b' .. text(number)
  local packed = tonumber(redis.call('HGET', w.record, field) or 0)
  local used_at = math.max(packed % PACK, now - number * width)
  redis.call('HSET', w.record, field, text((math.floor(packed / PACK) + amount) * PACK + used_at))
  if w.newest < w.oldest then w.oldest = number end
  w.newest, w.used, w.dirty = number, w.used + amount, true
  if w.waiting > 0 and w.first <= place_now then leave_line(w, amount) end
end

local function give_back(w, from, amount)
  local number = math.floor(from / width)
  local field = w.kind .. 'b' .. text(number)
  local packed = tonumber(redis.call('HGET', w.record, field) or 0)
  amount = math.min(amount, math.floor(packed / PACK))
  if amount > 0 then
    redis.call('HSET', w.record, field, text(packed - amount * PACK))
    w.used, w.dirty = w.used - amount, true
  end
end

local function room_at(w, missing)
  local at = 0
  if w.used > 0 then
    for place, packed in ipairs((buckets(w, 'b', w.oldest, w.newest))) do
      local amount = math.floor(tonumber(packed or 0) / PACK)
      if amount > 0 then
        at = (w.oldest + place - 1) * width + tonumber(packed) % PACK + span
        missing = missing - amount
        if missing <= 0 then return at end
      end
    end
  end
  if w.waiting > 0 then
    for place, amount in ipairs((buckets(w, 'l', w.first, w.last))) do
      if amount then
        at = (w.first + place) * line_width + span
        missing = missing - tonumber(amount)
        if missing <= 0 then return at end
      end
    end
  end
  return at
end

local function take_place(w, amount)
  local kept = math.min(math.ceil(PLACE_KEPT / line_width), BUCKETS / 2)
  while w.waiting > 0 and w.first + kept < place_now do leave_line(w, w.waiting) end
  local when = room_at(w, w.used + w.waiting + amount - w.limit)
  if w.waiting > 0 then when = math.max(when, w.last * line_width) end
  local first = w.waiting > 0 and w.first or place_now
  local place = math.max(place_now, math.min(math.floor(when / line_width), first + PLACES))
  if w.waiting > 0 then
    w.first, w.last = math.min(w.first, place), math.max(w.last, place)
  else
    w.first, w.last = place, place
  end
  redis.call('HINCRBY', w.record, w.kind .. 'l' .. text(place), text(amount))
  w.waiting, w.dirty = w.waiting + amount, true
  return when
end

local function free_at(w)
  if w.used <= 0 or w.newest < w.oldest then return now end
  local packed = tonumber(redis.call('HGET', w.record, w.kind .. 'b' .. text(w.newest)) or 0)
  return w.newest * width + packed % PACK + span
end

local function seen(answer, w)
  answer[#answer + 1] = w and text(w.limit - w.used) or ''
  answer[#answer + 1] = w and text(free_at(w)) or ''
end

local function keep(record, leases)
  local milliseconds = text(span / 1000 + KEPT_MILLISECONDS)
  redis.call('PEXPIRE', record, milliseconds)
  redis.call('PEXPIRE', leases, milliseconds)
end

-- No end of these is further ahead than one that is set now, but where the clock was set back.
local function bound(ends, longest)
  for _, one in ipairs(redis.call('ZRANGEBYSCORE', ends, '(' .. text(now + longest), '+inf', 'LIMIT', 0, 1000)) do
    redis.call('ZADD', ends, text(now + longest), one)
  end
end

-- Leases whose process has gone end by themselves.
local function end_old_leases(record, leases, longest)
  bound(leases, longest)
  local old = redis.call('ZRANGEBYSCORE', leases, '-inf', text(now), 'LIMIT', 0, 1000)
  if #old > 0 then
    redis.call('ZREM', leases, unpack(old))
    redis.call('HDEL', record, unpack(old))
  end
end

local answer = {'', text(now)}

-- begin: lease, its length, 1 to take whatever there is, tokens; for each calls, tokens, calls in flight at most.
if asked == 'begin' then
  local lease, forced, tokens = tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7])
  local all, room, again = {}, true, false
  for place = 1, #KEYS / 2 do
    local at = 8 + (place - 1) * 3
    local one = {record = KEYS[2 * place - 1], leases = KEYS[2 * place], in_flight_max = tonumber(ARGV[at + 2] ~= '' and ARGV[at + 2] or nil)}
    end_old_leases(one.record, one.leases, lease)
    again = again or redis.call('ZSCORE', one.leases, lease_id)
    one.calls, one.tokens = window(one.record, 'r', ARGV[at]), window(one.record, 't', ARGV[at + 1])
    one.in_flight = redis.call('ZCARD', one.leases)
    one.no_place = one.in_flight_max and one.in_flight >= one.in_flight_max
    one.no_call = one.calls and one.calls.limit - one.calls.used < 1
    one.no_tokens = one.tokens and one.tokens.limit - one.tokens.used < tokens
    room = room and not (one.no_place or one.no_call or one.no_tokens)
    all[place] = one
  end
  local granted = again or forced or room
  answer[1] = granted and '1' or '0'
  for _, one in ipairs(all) do
    local calls_when, tokens_when, turn = '', '', ''
    if granted and not again then
      redis.call('ZADD', one.leases, text(now + lease), lease_id)
      if one.in_flight_max then redis.call('HSET', one.record, 'y', text(now)) end
      if one.calls then add(one.calls, 1) end
      if one.tokens then
        add(one.tokens, tokens)
        redis.call('HSET', one.record, lease_id, text(tokens))
      end
    elseif not granted then
      if one.no_call then calls_when = text(take_place(one.calls, 1)) end
      if one.no_tokens then tokens_when = text(take_place(one.tokens, tokens)) end
      if one.no_place then
        local known = redis.call('HMGET', one.record, 'd', 'q', 'y')
        local each = math.floor(tonumber(known[1] or FIRST_LASTING) / one.in_flight_max)
        local mine = math.min(math.max(now, tonumber(known[2] or 0)) + each, now + TURN_MAX)
        local youngest = tonumber(known[3] or now)
        redis.call('HSET', one.record, 'q', text(mine), 'y', text(youngest))
        turn = text(math.min(mine + math.max(0, now - youngest), now + TURN_MAX))
      end
    end
    save(one.calls)
    save(one.tokens)
    keep(one.record, one.leases)
    seen(answer, one.calls)
    seen(answer, one.tokens)
    for _, value in ipairs({text(one.in_flight), calls_when, tokens_when, turn}) do answer[#answer + 1] = value end
  end
  return answer
end

-- cover: lease, tokens that it has taken, how many more it needs, a step of them, 1 to take whatever there is, what it took at first and
-- would take if it began again; for each tokens at most.
if asked == 'cover' then
  local taken, needed, step, forced = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == '1'
  local first = tonumber(ARGV[9])
  local all, more = {}, math.ceil(needed / step) * step
  local room, had = true, nil
  for place = 1, #KEYS / 2 do
    local w = window(KEYS[2 * place - 1], 't', ARGV[9 + place])
    had = had or tonumber(redis.call('HGET', w.record, lease_id) or nil)
    room = room and needed <= w.limit - w.used
    more = forced and more or math.min(more, w.limit - w.used)
    all[place] = w
  end
  local again = had and had > taken
  if again then more = had - taken end
  local granted = again or forced or room
  answer[1] = granted and text(more) or '0'
  for _, w in ipairs(all) do
    local when = ''
    if granted and not again then
      add(w, more)
      redis.call('HSET', w.record, lease_id, text(taken + more))
    elseif not granted and needed > w.limit - w.used then
      when = text(take_place(w, math.min(math.max(needed, first), w.limit)))
    end
    save(w)
    seen(answer, w)
    answer[#answer + 1] = when
  end
  return answer
end

-- end: lease, how long it lasted, tokens used and taken, when the last step was taken and its tokens, when it began and what it took
-- then; for each calls and tokens at most. Of a lease that is not known nothing is done.
if asked == 'end' then
  local lasted, used, taken = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  local step_at, step_tokens, began, first = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
  for place = 1, #KEYS / 2 do
    local record, leases, at = KEYS[2 * place - 1], KEYS[2 * place], 12 + (place - 1) * 2
    local known = redis.call('ZREM', leases, lease_id) == 1
    local more = used - (tonumber(redis.call('HGET', record, lease_id) or nil) or taken)
    if known then redis.call('HDEL', record, lease_id) end
    local calls, tokens = window(record, 'r', ARGV[at]), window(record, 't', ARGV[at + 1])
    if known then
      local before = tonumber(redis.call('HGET', record, 'd') or FIRST_LASTING)
      redis.call('HSET', record, 'd', text(math.max(1, before + math.floor((lasted - before) / LEARNING))))
      if tokens and more > 0 then
        add(tokens, more)
      elseif tokens and more < 0 then
        local of_step = math.min(-more, step_tokens)
        if of_step > 0 then give_back(tokens, step_at, of_step) end
        give_back(tokens, began, math.min(-more - of_step, first))
      end
    end
    save(calls)
    save(tokens)
    keep(record, leases)
    seen(answer, calls)
    seen(answer, tokens)
  end
  return answer
end

-- renew: a process, how long it is taken to be there, how long leases last, then the lease of each pair of keys; ahead of the pairs is the
-- list of processes. Leases that an emptied server has lost are there again. Returns how many processes there are, and of how many servers:
-- what a process is called begins with its server's name and a dot, or it is one by itself.
local there, lease = tonumber(ARGV[5]), tonumber(ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now))
bound(KEYS[1], there)
redis.call('ZADD', KEYS[1], text(now + there), lease_id)
for place = 1, (#KEYS - 1) / 2 do
  redis.call('ZADD', KEYS[2 * place + 1], text(now + lease), ARGV[6 + place])
  keep(KEYS[2 * place], KEYS[2 * place + 1])
end
local processes, servers, counted = redis.call('ZRANGE', KEYS[1], 0, -1), 0, {}
for _, process in ipairs(processes) do
  local server = string.match(process, '^[^.]*')
  if not counted[server] then servers, counted[server] = servers + 1, true end
end
return {text(#processes), text(now), text(servers)}
