"""Access control and protection: API keys, sessions, request checks, rate and size limits.

`guard` applies the others to each request:

=====================  ==================================================================
`guard`                `Guard`, the checks before and after each route
`keys`                 `Keys` and `Sessions`, API keys and browser sessions
`headers`              security headers, Host header and Origin checks
`proxy`                headers of a reverse proxy, and a root path
`decoding`             `DecodeBudget`, the limit on images that are decoded at once
`rates`                `RateLimit`, the limit on the requests of a client
`json_bodies`          `parse_json`, within limits on size and depth
`slow_clients`         slow-client protection in the waitress server
=====================  ==================================================================
"""
