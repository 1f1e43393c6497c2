# What the rooms up to kernels need, from headers and sources alone, which serve every processor.
set(headers ${CMAKE_BINARY_DIR}/headers)  # not /usr/include itself: the compiler has a C library of its own
file(MAKE_DIRECTORY ${headers})
file(CREATE_LINK /usr/include/boost ${headers}/boost SYMBOLIC)
file(WRITE ${CMAKE_BINARY_DIR}/boost_json.cc "#include <boost/json/src.hpp>\n")
add_library(boost_json STATIC ${CMAKE_BINARY_DIR}/boost_json.cc)
target_include_directories(boost_json SYSTEM PUBLIC ${headers})
target_compile_definitions(boost_json PUBLIC BOOST_ALL_NO_LIB)
set(CALLIOPE_base_LIBRARIES Threads::Threads)
set(CALLIOPE_tensor_LIBRARIES boost_json)
add_subdirectory(/usr/src/googletest ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
