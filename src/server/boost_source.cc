// Asio and Beast compiled once, here: the other sources see declarations only.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
