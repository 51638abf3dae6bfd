# Cuts a connection of another process: takes a copy of its descriptor, and shuts the socket down.
#
#   perl cut_link.pl PID DESCRIPTOR
use strict;
use warnings;
use constant { PIDFD_OPEN => 434, PIDFD_GETFD => 438 };

my ($pid, $descriptor) = map { int } @ARGV;
my $process = syscall(PIDFD_OPEN, $pid, 0);
die "no process $pid: $!\n" if $process < 0;
my $copy = syscall(PIDFD_GETFD, $process, $descriptor, 0);
die "no descriptor $descriptor of $pid: $!\n" if $copy < 0;
open(my $socket, '+<&=', $copy) or die "descriptor $descriptor of $pid: $!\n";
shutdown($socket, 2) or die "shutdown: $!\n";
