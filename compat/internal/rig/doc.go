// Package rig runs the real program for the acceptance tests: it builds the binary once, starts it on free ports, kills it, and speaks REST
// and MQTT with it from outside. It imports nothing of the platform, as a foreign client would not.
package rig
