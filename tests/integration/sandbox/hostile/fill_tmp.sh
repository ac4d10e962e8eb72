dd if=/dev/zero of="$TMPDIR/fill" bs=1M count=1024
