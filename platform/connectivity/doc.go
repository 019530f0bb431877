// Package connectivity is the paper's Device Connectivity (IoT Transformation & Connectivity): where devices meet the platform, whatever they speak.
//
// It owns what is true of a connection and of nobody else: which device a session stands for (with creation on first contact), whether
// devices are connected and heard of (Presence), and which session an operation goes to (Deliver). Dialects under wire/ translate bytes and call it.
//
// Signs of life are collected in memory and written every few seconds: they are not acknowledged data, and a crash loses a few seconds of
// "last heard" at most. Operations are not kept here: they stay PENDING in device management until a device takes them.
package connectivity
