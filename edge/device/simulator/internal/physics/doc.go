// Package physics is the world in which the simulated devices live: water in a household, a room in winter, a machine at work.
//
// Every model is a struct with an Advance method that moves it forward by a step of time; nothing in it reads a clock, and all
// randomness comes from the generator given at construction. The same seed and the same steps therefore give the same world.
// The numbers are plausible, not calibrated: they only have to look right on a chart and to make rules fire for a reason.
//
// The models know nothing of MQTT, of external ids or of alarms: they are what a sensor would see. They are not safe for
// concurrent use; each device owns its own.
package physics
