-- Asks an edge about each request: `http-request lua.latchwire NAME` in the backend of the service NAME.
-- HAProxy 2.6 or newer with Lua. LATCHWIRE_EDGE is the address of the edge, host and port.

local edge = os.getenv("LATCHWIRE_EDGE") or "127.0.0.1:9000"
local timeout_ms = 2000

-- All that a decision may depend on; each line of the client's, with every repetition.
local told = {
    "accept", "access-control-request-method", "authorization", "cookie", "origin", "referer",
    "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-websocket-key", "upgrade", "x-csrf-token",
    "x-latchwire-assertion", "x-request-id", "x-requested-with", "traceparent",
}
-- Of a refusal, what the client hears.
local heard = {
    "cache-control", "content-security-policy", "content-type", "location", "retry-after", "www-authenticate",
    "x-content-type-options", "x-latchwire-reason", "x-request-id",
}
-- Of an answer, what is not about the caller.
local framing = {
    ["cache-control"] = true, ["connection"] = true, ["content-length"] = true, ["date"] = true,
    ["keep-alive"] = true, ["transfer-encoding"] = true,
}

-- The lines of one header, in order; HAProxy counts them from 0.
local function lines(values)
    local found, number = {}, 0
    while values and values[number] do
        found[number + 1] = values[number]
        number = number + 1
    end
    return found
end

-- As CGI-like upstreams fold names: X.User_Id is X-User-Id to them.
local function folded(name)
    return (name:lower():gsub("[^a-z0-9]", "-"))
end

local function question(txn, headers)
    local asked = {}
    for _, name in ipairs(told) do
        if headers[name] then asked[name] = lines(headers[name]) end
    end
    asked["x-forwarded-method"] = { txn.sf:method() }
    asked["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
    asked["x-forwarded-host"] = lines(headers["host"])
    asked["x-forwarded-uri"] = { txn.sf:pathq() }
    return asked
end

-- What the edge says of the caller, in place of what the client says under any spelling of the same names.
local function introduce(txn, headers, answer)
    local ours = {}
    for name in pairs(answer.headers) do
        if not framing[name] then ours[folded(name)] = name end
    end
    for name in pairs(headers) do
        if ours[folded(name)] then txn.http:req_del_header(name) end
    end
    for _, name in pairs(ours) do
        txn.http:req_set_header(name, answer.headers[name][0] or "")
    end
end

-- The client's own answer: what the edge refused with.
local function refusal(txn, answer)
    local reply = txn:reply{ status = answer.status }
    for _, name in ipairs(heard) do
        for _, value in ipairs(lines(answer.headers[name])) do reply:add_header(name, value) end
    end
    if answer.body and #answer.body > 0 then reply:set_body(answer.body) end
    return reply
end

-- Whatever this cannot understand is not passed on.
local function unavailable(txn)
    local reply = txn:reply{ status = 503 }
    reply:add_header("cache-control", "no-store")
    reply:add_header("retry-after", "1")
    return reply
end

-- When this thread last heard the edge, in seconds; 0: it did not answer the last time.
local heard_at = 0
local address, port = edge:match("^(%d+%.%d+%.%d+%.%d+):(%d+)$")

-- Whether anybody listens there, tried where the edge was not heard just now: the client of 2.6 would try a dead
-- address for three seconds, and everybody would wait. Of a name it is not known.
local function is_there()
    if not address or core.now().sec - heard_at <= 1 then return true end
    local socket = core.tcp()
    socket:settimeout(1)
    local connected = socket:connect(address, tonumber(port))
    socket:close()
    return connected ~= nil
end

-- The reply to the client; nil: it may pass.
local function check(txn, service)
    if not is_there() then return unavailable(txn) end
    local headers = txn.http:req_get_headers()
    local answer = core.httpclient():get{
        url = "http://" .. edge .. "/check/haproxy/" .. service,
        headers = question(txn, headers),
        timeout = timeout_ms,
    }
    local answered = answer and answer.headers and answer.headers["x-request-id"]
    heard_at = answered and core.now().sec or 0
    if answer and answer.status == 200 then
        return introduce(txn, headers, answer)
    elseif answer and answer.status and answer.status >= 300 then
        return refusal(txn, answer)
    end
    return unavailable(txn)
end

-- Trailers come after the check: what is a header there would be the client's own word (RFC 9110 section 6.5.1).
-- `filter lua.latchwire-trailers` in the frontend: such a request is cut off before they leave.
local Trailers = { id = "latchwire trailers", flags = filter.FLT_CFG_FL_HTX }
Trailers.__index = Trailers

function Trailers:new()
    return setmetatable({ beyond = 0 }, self)
end

function Trailers:start_analyze(_, channel)
    if not channel:is_resp() then filter.register_data_filter(self, channel) end
end

-- HTTP/1 has trailers behind chunks only: a body of a told length need not pass through here. HTTP/2 has both at once.
function Trailers:http_headers(_, message)
    if message:is_resp() then return end
    local headers = message:get_headers()
    local unchunked = message:get_stline().version:find("^HTTP/1%.") and not headers["transfer-encoding"]
    if unchunked and headers["content-length"] then filter.unregister_data_filter(self, message.channel) end
end

-- What is not body is one byte of end, and trailers.
function Trailers:http_payload(_, message)
    self.beyond = self.beyond + message:input() - #(message:body() or "")
end

function Trailers:http_end(_, message)
    if not message:is_resp() and self.beyond > 1 then return filter.ERROR end
    return filter.CONTINUE
end

core.register_filter("latchwire-trailers", Trailers, function(made) return made end)

core.register_action("latchwire", { "http-req" }, function(txn, service)
    local understood, reply = pcall(check, txn, service)
    if not understood then
        core.Warning("latchwire: " .. tostring(reply))
        reply = unavailable(txn)
    end
    -- Outside of pcall: it leaves this function as an error would.
    if reply then txn:done(reply) end
end, 1)
