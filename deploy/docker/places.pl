#!/usr/bin/perl
# Writes the demo's table of places: its three networks lie in Frankfurt, Virginia and Tokyo. MaxMind's schema.
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
my @places = (
    [ '10.77.1.0/24', 'EU', 'DE', 'Frankfurt', 50.11, 8.68 ],
    [ '10.77.2.0/24', 'NA', 'US', 'Ashburn',   39.04, -77.49 ],
    [ '10.77.3.0/24', 'AS', 'JP', 'Tokyo',     35.68, 139.69 ],
);
for my $place (@places) {
    my ( $network, $continent, $country, $city, $latitude, $longitude ) = @$place;
    $tree->insert_network(
        $network,
        {   continent => { code     => $continent },
            country   => { iso_code => $country },
            city      => { names    => { en => $city } },
            location  => { latitude => $latitude, longitude => $longitude },
        }
    );
}
die "usage: places.pl FILE\n" unless @ARGV == 1;
open my $file, '>:raw', $ARGV[0] or die "$ARGV[0]: $!\n";
$tree->write_tree($file);
close $file or die "$ARGV[0]: $!\n";
