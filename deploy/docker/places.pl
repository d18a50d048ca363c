#!/usr/bin/perl
# Writes a table of places in MaxMind's schema: places.pl FILE [NETWORK CITY]...
# Without networks those of the demo: its three regions are Frankfurt, Virginia and Tokyo.
use strict;
use warnings;
use MaxMind::DB::Writer::Tree;

my %types = (
    country   => 'map',        continent => 'map',    location => 'map', city => 'map', names => 'map',
    iso_code  => 'utf8_string', code => 'utf8_string', en => 'utf8_string',
    latitude  => 'double',     longitude => 'double',
);
my $tree = MaxMind::DB::Writer::Tree->new(
    ip_version               => 4,
    record_size              => 24,
    database_type            => 'Nearside-Demo-City',
    languages                => ['en'],
    description              => { en => 'The networks of the Nearside demo' },
    remove_reserved_networks => 0,
    map_key_type_callback    => sub { $types{ $_[0] } },
);
my %cities = (
    Frankfurt => [ 'EU', 'DE', 50.11, 8.68 ],
    Ashburn   => [ 'NA', 'US', 39.04, -77.49 ],
    Tokyo     => [ 'AS', 'JP', 35.68, 139.69 ],
    Sydney    => [ 'OC', 'AU', -33.87, 151.21 ],
);
my ( $path, @places ) = @ARGV;
die "usage: places.pl FILE [NETWORK CITY]...\n" unless defined $path && @places % 2 == 0;
@places = qw(10.77.1.0/24 Frankfurt 10.77.2.0/24 Ashburn 10.77.3.0/24 Tokyo) unless @places;
while ( my ( $network, $city ) = splice @places, 0, 2 ) {
    my $place = $cities{$city} or die "no such city: $city; there are ", join( ', ', sort keys %cities ), "\n";
    my ( $continent, $country, $latitude, $longitude ) = @$place;
    $tree->insert_network(
        $network,
        {   continent => { code     => $continent },
            country   => { iso_code => $country },
            city      => { names    => { en => $city } },
            location  => { latitude => $latitude, longitude => $longitude },
        }
    );
}
open my $file, '>:raw', $path or die "$path: $!\n";
$tree->write_tree($file);
close $file or die "$path: $!\n";
