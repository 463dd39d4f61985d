#!/bin/sh
# /lab/serve of a measured guest: as life.sh, gives each line of the second serial port
# to a shell, and answers with what that prints and, on a new line, "done STATUS".

export PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 HOME=/root PYTHONDONTWRITEBYTECODE=1
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo "done 0" >&3
(
	while read -r line <&3; do
		sh -c "$line" </dev/null >&3 2>&1 3>&-
		printf '\ndone %s\n' $? >&3
	done
)
