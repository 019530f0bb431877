// Package c8ymqtt speaks the MQTT dialect of the platform's API: which topics there are, what is published to and from devices on them,
// and which JSON and SmartREST lines they carry.
//
// It is the policy (mqtt.Gate and mqtt.Handler) of the broker in engine/mqtt. One listener serves SmartREST static templates (s/us),
// template collections (s/ut, s/uc, s/dc: custom.go), SmartREST 1 (s/ul, s/dl, s/ol), JSON via MQTT (measurement/measurements/create, ...),
// the bootstrap of devices (s/ucr), tokens (s/uat), operations (s/ds, devicecontrol/notifications) and free topics, which are routed between
// the clients of one tenant.
//
// A publish is acknowledged when everything in it is stored. A line that is the device's mistake is answered on s/e (JSON: on error) and the
// publish is acknowledged; if the platform could not store it, it is not, so that the device sends again.
//
// With lines a connection speaks for the device that its client id names and for what hangs below it, never for anything else, whatever its
// user may do otherwise; they change fragments, while id, type, name and owner are out of their reach. JSON may name another source
// (externalSource, the external id in the topic); there the permissions of the user decide.
package c8ymqtt
