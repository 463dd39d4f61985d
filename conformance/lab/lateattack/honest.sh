#!/bin/busybox sh
# The modprobe of a system without modules: it has none to load.
exit 1
