#!/bin/bash
rm -rf /run/apache2/*
. /etc/apache2/envvars
mkdir -p "$APACHE_RUN_DIR"
exec /usr/sbin/apache2 -D FOREGROUND
