// Package diskguard refuses new data before a disk is full, so that no store ever meets the end of it in the middle of a write.
//
// A Guard looks at the free space of one folder. Below the low-water mark Room says no, and whoever takes in data refuses it with the kind
// fault.Full; what is needed to get out again (reading, deleting, logging in) does not ask and has the reserve below the mark to write in.
// Above the mark the guard says yes again, by itself. Two more things keep the reserve for what cannot fail:
//
//   - A ballast file takes some space. It is removed when the space is nearly gone, and made again when there is enough.
//   - FS is a file system for Pebble in which compactions, and later flushes, are told that the disk is full while the log and the manifest,
//     whose failure ends the process, still find space. Pebble tries the former again.
package diskguard
