// Package limits bounds how much one address, user, device or tenant may ask for in a time, so that none of them uses up what is there for all.
//
// Rates are token buckets that hold two seconds' worth: short bursts pass, and over time no more than the rate. A bucket that is asked for nothing for ten
// minutes is forgotten; their number is bounded. Every node counts for itself.
//
//	what                            when it is used up
//	requests per second             429 with Retry-After. Per address before anything else, then per user and per tenant.
//	MQTT connects per second        per address: CONNACK 0x9F (3 in 3.x), before the password is looked at
//	MQTT connections                per address and per tenant: CONNACK 0x97 (3 in 3.x)
//	MQTT publishes per second       per connection: its next packet is read later, so that TCP slows the sender down and nothing is lost. Whoever gets
//	                                more than five seconds ahead all the same - many connections share a tenant's rate - is disconnected with 0x96 and the message
//	                                not acknowledged.
//
// Each is counted in isobar_limits_exceeded_total. Limits of a tenant may be set by its options in the category "limits" (see Keys); they take effect within
// ten seconds. An IPv6 address counts as its /64.
//
// It decides nothing about who may do what, keeps nothing, and knows no dialect: HTTP calls Address and Request, the broker's gate is wrapped by Gate.
package limits
