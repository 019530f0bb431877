// Package simulator is a fleet of simulated devices: the IoT Device of the Edge tier where no real one is at hand.
//
// It owns connected homes and industrial machines. A home is a gateway with a water-leak sensor, a water meter, a climate sensor
// and a shut-off valve as its children; a machine relives a recording, or follows a model of its own. They are real to the server:
// each home and each machine is one MQTT client that registers, reports, raises and clears alarms, carries out operations, loses its
// connection and comes back. All their data go over the wire; nothing here reaches into a server, so the fleet works against
// any server that speaks the protocol.
//
//	err := simulator.Run(ctx, simulator.Config{
//		URL: "http://localhost:8080", User: "admin", Password: "...", BootstrapPassword: "...",
//		StateFile: "fleet.json",
//	}, log)
//
// How it is built: Run obtains credentials (bootstrap.go, or the caller's function) and keeps them in a file (state.go). Each device
// (device.go) is one goroutine that owns everything about itself: its connection (client.go), what it still has to send (outbox.go) and its body
// (home.go, machine.go), which turns the models of internal/physics into lines. The body never waits and never sends; it is told the
// time and fills an outbox, which is what the tests look at.
//
// Invariants: a device's messages leave in the order in which they arose, at least once, with the time at which they arose; while a
// device is offline it keeps a bounded number of them and drops the oldest. An operation is answered exactly once per delivery.
// For one Seed the fleet is the same in everything but time.
package simulator
