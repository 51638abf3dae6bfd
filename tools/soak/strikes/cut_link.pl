# Cuts a link of another process: takes a copy of its descriptor, and shuts the socket down. Clients'
# connections are left alone: a descriptor may have become one of these meanwhile.
#
#   perl cut_link.pl PID DESCRIPTOR
use strict;
use warnings;
use Socket qw(AF_UNIX sockaddr_family);
use constant { PIDFD_OPEN => 434, PIDFD_GETFD => 438 };

my ($pid, $descriptor) = map { int } @ARGV;
my $process = syscall(PIDFD_OPEN, $pid, 0);
die "no process $pid: $!\n" if $process < 0;
my $copy = syscall(PIDFD_GETFD, $process, $descriptor, 0);
die "no descriptor $descriptor of $pid: $!\n" if $copy < 0;
open(my $socket, '+<&=', $copy) or die "descriptor $descriptor of $pid: $!\n";
my $name = getsockname($socket) or die "descriptor $descriptor of $pid: $!\n";
die "descriptor $descriptor of $pid is no link\n" if sockaddr_family($name) != AF_UNIX;
shutdown($socket, 2) or die "shutdown: $!\n";
