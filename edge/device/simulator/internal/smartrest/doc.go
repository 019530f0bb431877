// Package smartrest reads and writes the comma-separated lines that a device exchanges with the server.
//
// It is the device's half only: Line builds what goes up, Parse reads what comes down. The server has its own codec under wire/;
// the two share no code on purpose, because the edge talks to any server that speaks this protocol and is a check on ours.
package smartrest
