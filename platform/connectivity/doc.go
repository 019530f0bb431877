// Package connectivity is the paper's Device Connectivity (IoT Transformation & Connectivity): where devices meet the platform, whatever they speak.
//
// It owns what is true of a connection and of nobody else: which device a session stands for (with creation on first contact), whether
// devices are connected and heard of (Presence), and which session an operation goes to (Deliver). Dialects under wire/ translate bytes and call it.
//
// A device with a required interval that is silent for longer becomes UNAVAILABLE and gets an alarm; the next sign of life takes both back.
// All tenants are watched, also those of which nobody was heard since the start. Who is connected is kept by the process that has the
// connection: when the only process starts (Deps.Sole), nobody is. With several nodes a node that dies leaves its devices CONNECTED until
// they connect again; telling its devices from those of the others needs the node in the state of the object, which is not there yet.
//
// Signs of life are collected in memory and written every few seconds: they are not acknowledged data, and a crash loses a few seconds of
// "last heard" at most. Operations are not kept here: they stay PENDING in device management until a device takes them.
package connectivity
